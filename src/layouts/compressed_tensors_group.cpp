// SPDX-License-Identifier: Apache-2.0
#include "layouts/compressed_tensors_group.h"

#include <cstdint>
#include <limits>
#include <utility>

#include "layouts/compressed_tensors.h"
#include "layouts/description.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow::compressed_tensors {
namespace {

// Codes that are not packed: int-quantized, whatever their bits, is a byte a code.
constexpr Storage kBytes;

const Layout* layout_of_bits(std::uint64_t bits) {
  for (const Layout& layout : layouts()) {
    const bool ours = layout.scheme == &kCompressedTensorsScheme;
    if (ours && static_cast<std::uint64_t>(find_format(layout.format)->bits) == bits)
      return &layout;
  }
  return nullptr;
}

}  // namespace

Group read_group(const JsonValue& group, const std::string& format, const std::string& source) {
  const auto fail_config = [&source](const char* detail) { throw_config_fault(source, detail); };
  const JsonValue* weights = group.member("weights");
  // Of activations alone.
  if (weights != nullptr && weights->is_null()) return {};
  if (weights == nullptr || !weights->is_object()) fail_config("a group has no 'weights'");
  const JsonValue* bits = weights->member("num_bits");
  if (bits == nullptr || (bits->whole() == nullptr && bits->negative() == nullptr)) {
    fail_config("'num_bits' is no integer");
  }
  const JsonValue* symmetric = weights->member("symmetric");
  if (symmetric != nullptr && symmetric->boolean() == nullptr) {
    fail_config("'symmetric' is no boolean");
  }
  const std::string* type = text_member(*weights, "type");
  const std::string* strategy = text_member(*weights, "strategy");
  if (bits->whole() == nullptr || (type != nullptr && *type != "int")) return {};
  Group decoded;
  if (format == "pack-quantized") {
    const Layout* layout = layout_of_bits(*bits->whole());
    if (layout == nullptr) return {};
    decoded.storage = &layout->storage;
    decoded.packed = true;
    decoded.format = default_format(*find_format(layout->format));
  } else if (format == "int-quantized" || format == "naive-quantized") {
    if (*bits->whole() > 8) return {};
    decoded.storage = &kBytes;
    decoded.format = default_format(*find_format("int8"));
  } else {
    return {};
  }
  decoded.format.symmetric = symmetric == nullptr || *symmetric->boolean();
  // Zero points that are not packed, and those of a whole tensor, are not read.
  const bool plain = decoded.format.symmetric;
  const bool by_group = strategy != nullptr && *strategy == "group";
  if (by_group) {
    const JsonValue* size = weights->member("group_size");
    if (size == nullptr || size->whole() == nullptr || *size->whole() == 0 ||
        *size->whole() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      fail_config("'group_size' is no positive integer");
    }
    decoded.format.group_size = GroupSize::of(*size->whole());
  } else if (strategy != nullptr && *strategy == "channel") {
    decoded.format.group_size = GroupSize::row();
  } else if (strategy != nullptr && *strategy == "tensor" && plain) {
    decoded.format.group_size = GroupSize::tensor();
  } else {
    return {};
  }
  if (!plain && !decoded.packed) return {};
  return decoded;
}

void throw_config_fault(const std::string& source, std::string detail) {
  CheckpointFault fault(FileRule::kLayerDescription, source);
  fault.detail = std::move(detail);
  throw fault;
}

}  // namespace quarrow::compressed_tensors

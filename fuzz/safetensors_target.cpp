// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <variant>
#include <vector>

#include "file_promises.h"
#include "file_targets.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/safetensors.h"
#include "quarrow/core/target.h"
#include "quarrow/pipeline/read_layer.h"

namespace quarrow::fuzz {
namespace {

std::vector<Format> storable_formats() {
  std::vector<Format> formats;
  for (const FormatSpec& spec : registry()) {
    const Format format = default_format(spec);
    if (find_layout(format, Container::kSafetensors) != nullptr) formats.push_back(format);
  }
  return formats;
}

// Whether the entry says something of tensors, and is gone or another one when these change.
bool may_follow_layers(const TensorTable::Metadata& metadata, std::string_view key) {
  constexpr std::string_view kKeys[] = {"quantization_config", "quarrow.layers",
                                        "_quantization_metadata", "modelspec.hash_sha256",
                                        "DCP_SHARDING_INFO"};
  // With this one every key may be the name of a tensor.
  const auto is_list = [](const auto& item) { return item.first == "tensor_names"; };
  return std::ranges::find(kKeys, key) != std::end(kKeys) || std::ranges::any_of(metadata, is_list);
}

void check_quantized(const Checkpoint& source, const StoredLayers& layers, const Format& format,
                     MemoryFile& output) {
  const std::vector<std::uint8_t> choices(source.tensors.size(), 0);
  const FilePlan plan = plan_quantized(source, layers, {&format, 1}, choices, {});
  if (source.tensors.metadata()) {
    for (const auto& item : *source.tensors.metadata()) {
      if (may_follow_layers(*source.tensors.metadata(), item.first)) continue;
      require(std::ranges::find(*plan.metadata, item) != plan.metadata->end(), "metadata is kept");
    }
  }
  check_planned(plan, output);
}

void check_restored(const Checkpoint& source, const StoredLayers& layers, MemoryFile& output) {
  const Plan plan = plan_stored_layers(layers.layers());
  for (std::size_t index = 0; index < plan.layers.size(); ++index) {
    const LayerPlan& layer = plan.layers[index];
    PerRole<std::vector<std::byte>> memory;
    QuantizedSpan span;
    for (const PartSpec& part : layer.encoding.parts()) {
      memory[part.role].resize(part.bytes());
      span[part.role] = memory[part.role].data();
    }
    read_layer(source, layers.layers()[index], layer, *default_target(), span);
  }
  check_planned(plan_restored(source, layers, {}), output);
  check_planned(plan_converted(source, layers, {}), output);
}

}  // namespace

std::string_view run_safetensors(std::span<const std::uint8_t> bytes) {
  static MemoryFile input("input");
  static MemoryFile output("output");
  static const std::vector<Format> formats = storable_formats();
  input.fill(bytes);
  const auto opened = [&]() -> std::variant<Checkpoint, FileRule> {
    try {
      return open_safetensors(input.path());
    } catch (const CheckpointFault& fault) {
      return fault.rule;
    }
  }();
  if (const FileRule* broken = std::get_if<FileRule>(&opened)) return name_of(*broken);
  const Checkpoint& source = std::get<Checkpoint>(opened);
  check_opened(source);
  try {
    const StoredLayers layers = find_stored_layers(source);
    for (const Format& format : formats) check_quantized(source, layers, format, output);
    check_restored(source, layers, output);
  } catch (const CheckpointFault& fault) {
    return name_of(fault.rule);
  }
  return kValid;
}

}  // namespace quarrow::fuzz

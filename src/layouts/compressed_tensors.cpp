// SPDX-License-Identifier: Apache-2.0
#include "layouts/compressed_tensors.h"

#include <algorithm>
#include <array>

#include "core/json_text.h"
#include "layouts/layer_names.h"
#include "quarrow/core/tensor_view.h"

namespace quarrow::compressed_tensors {
namespace {

constexpr std::array<std::string_view, 4> kSuffixes = {kPacked, kScale, kZeroPoint, kShape};

struct Matrix {
  std::uint64_t rows = 0;
  std::uint64_t cols = 0;
};

Matrix matrix_of(const TensorEntry& tensor) {
  Matrix matrix{tensor.shape[0], 1};
  for (const std::uint64_t dimension : tensor.shape.subspan(1)) matrix.cols *= dimension;
  return matrix;
}

// The texts are put together by hand: nlohmann's documents ask for memory while they are destroyed.
std::string weights_of(const Format& format) {
  std::string weights = R"({"num_bits":)" + std::to_string(format.spec->bits) +
                        R"(,"type":"int","symmetric":)" + (format.symmetric ? "true" : "false") +
                        R"(,"dynamic":false,"strategy":)";
  if (format.group_size.kind == GroupSize::Kind::kColumns) {
    weights += R"("group","group_size":)" + std::to_string(format.group_size.columns);
  } else {
    weights += R"("channel")";
  }
  return weights + '}';
}

// Joins the texts of many layers: a document would take several times their memory.
void append(std::string& list, std::string_view text) {
  if (!list.empty()) list += ',';
  list += text;
}

// What one layer was before.
std::string layer_before(const TensorEntry& tensor) {
  std::string before = json_text(tensor.name);
  before.append(R"(:{"dtype":")").append(name_of(tensor.dtype)).append("\"");
  if (tensor.shape.size() != 2) {
    std::string shape;
    for (const std::uint64_t dimension : tensor.shape) append(shape, std::to_string(dimension));
    before += R"(,"shape":[)" + shape + ']';
  }
  return before + '}';
}

StayReason stay_reason(const TensorEntry& tensor, const Neighbours& beside, const Format& format) {
  if (!float_dtype(tensor.dtype)) return no_float_reason(tensor.dtype);
  if (tensor.shape.size() < 2) return StayReason::kNotMatrix;
  if (!tensor.name.ends_with(kWeightSuffix)) return StayReason::kNotWeight;
  if (tensor.bytes() == 0) return StayReason::kEmpty;
  if (tensor.shape.size() > kMaxDimensions) return StayReason::kManyDimensions;
  const auto taken = [&](std::string_view suffix) { return beside.have(suffix); };
  if (std::ranges::any_of(kSuffixes, taken)) return StayReason::kNameTaken;
  // compressed-tensors 0.20 takes the bytes of a transposed tensor of one row for contiguous.
  const bool one_word_of_zero_points =
      format.spec->bits == 4 && !format.symmetric && words(tensor.shape[0], 4) == 1;
  if (one_word_of_zero_points) return StayReason::kFewRows;
  switch (format.group_size.kind) {
    case GroupSize::Kind::kColumns:
      if (matrix_of(tensor).cols % format.group_size.columns != 0) return StayReason::kShortGroup;
      break;
    case GroupSize::Kind::kRow:
      break;
    case GroupSize::Kind::kTensor:
      return StayReason::kTensorScale;
  }
  return StayReason::kNone;
}

std::vector<EncodedEntry> encode(const LayerToEncode& layer, std::pmr::memory_resource& memory) {
  const auto [rows, cols] = matrix_of(*layer.tensor);
  const Format& format = *layer.format;
  const auto bits = static_cast<std::uint64_t>(format.spec->bits);
  const bool grouped = format.group_size.kind == GroupSize::Kind::kColumns;
  const std::uint64_t groups = grouped ? cols / format.group_size.columns : 1;
  const std::string_view name = layer_of(layer.tensor->name);
  const auto entry = [&](std::string_view suffix, std::array<std::uint64_t, 2> shape,
                         ElementType dtype, std::optional<Role> role) {
    return EncodedEntry{joined(name, suffix, memory), keep(shape, memory), dtype, role, {}};
  };
  std::vector<EncodedEntry> entries = {
      entry(kPacked, {rows, words(cols, bits)}, ElementType::kI32, Role::kCodes),
      entry(kScale, {rows, groups}, element_type(format.scale_dtype), Role::kScales)};
  if (!format.symmetric) {
    entries.push_back(
        entry(kZeroPoint, {words(rows, bits), groups}, ElementType::kI32, Role::kZeroPoints));
  }
  const std::array<std::uint64_t, 2> shape = {rows, cols};
  const std::array<std::uint64_t, 1> shape_of_shape = {shape.size()};
  std::string bytes;
  for (const std::uint64_t dimension : shape) {
    for (unsigned shift = 0; shift < 64; shift += 8) {
      bytes.push_back(static_cast<char>(dimension >> shift & 0xff));
    }
  }
  entries.push_back({joined(name, kShape, memory), keep(shape_of_shape, memory), ElementType::kI64,
                     std::nullopt, keep(bytes, memory)});
  return entries;
}

void describe(std::span<const LayerToEncode> layers, std::pmr::memory_resource& memory,
              TensorTable::Metadata& metadata) {
  std::vector<std::string> weights;  // of each group
  std::vector<std::string> targets;  // the same
  std::vector<const Format*> formats;
  std::vector<std::size_t> group_of_format;
  std::string before;
  for (const LayerToEncode& layer : layers) {
    auto known = std::ranges::find(formats, layer.format);
    if (known == formats.end()) {
      const std::string described = weights_of(*layer.format);
      const auto same = std::ranges::find(weights, described);
      group_of_format.push_back(static_cast<std::size_t>(same - weights.begin()));
      if (same == weights.end()) {
        weights.push_back(described);
        targets.emplace_back();
      }
      formats.push_back(layer.format);
      known = std::prev(formats.end());
    }
    const std::size_t group = group_of_format[static_cast<std::size_t>(known - formats.begin())];
    append(targets[group], json_text(layer_of(layer.tensor->name)));
    append(before, layer_before(*layer.tensor));
  }
  std::string groups;
  for (std::size_t group = 0; group < weights.size(); ++group) {
    append(groups, "\"group_" + std::to_string(group) + "\":{\"targets\":[" + targets[group] +
                       "],\"weights\":" + weights[group] + "}");
  }
  const std::string config = R"({"quant_method":"compressed-tensors","format":"pack-quantized",)"
                             R"("quantization_status":"compressed","config_groups":{)" +
                             groups + R"(},"ignore":[]})";
  // What was left because it could not be read.
  std::erase_if(metadata,
                [](const auto& item) { return item.first == kConfig || item.first == kOurs; });
  metadata.emplace_back(kConfig, keep(config, memory));
  before.insert(0, 1, '{');
  before += '}';
  metadata.emplace_back(kOurs, keep(before, memory));
}

}  // namespace
}  // namespace quarrow::compressed_tensors

namespace quarrow {

const Scheme kCompressedTensorsScheme{compressed_tensors::stay_reason,
                                      compressed_tensors::encode,
                                      compressed_tensors::describe,
                                      compressed_tensors::decode,
                                      Runtime::kNone,
                                      kReaderCompressedTensors,
                                      compressed_tensors::kConfig};

}  // namespace quarrow

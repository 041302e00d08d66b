// SPDX-License-Identifier: Apache-2.0
//
// The int8 layers of a file for ComfyUI, whoever wrote it.
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "layouts/comfy_int8.h"
#include "layouts/description.h"
#include "layouts/layer_names.h"

namespace quarrow {
namespace {

constexpr Storage kStorage;
// A longer description is not one of ComfyUI's.
constexpr std::uint64_t kMaxDescriptionBytes = 4096;
constexpr std::size_t kMaxDescriptionValues = 64;

constexpr std::array kDTypes = {
    std::pair<std::string_view, ElementType>{"torch.float16", ElementType::kF16},
    std::pair<std::string_view, ElementType>{"torch.bfloat16", ElementType::kBF16},
    std::pair<std::string_view, ElementType>{"torch.float32", ElementType::kF32},
    std::pair<std::string_view, ElementType>{"torch.float64", ElementType::kF64},
};

// The formats of ComfyUI's registry (QUANT_ALGOS) that are not decoded. What a file says is not
// repeated to people unless it is one of these.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kOtherFormats = {{
    {"float8_e4m3fn", "ComfyUI's float8_e4m3fn"},
    {"float8_e5m2", "ComfyUI's float8_e5m2"},
    {"mxfp8", "ComfyUI's mxfp8"},
    {"nvfp4", "ComfyUI's nvfp4"},
    {"convrot_w4a4", "ComfyUI's convrot_w4a4"},
    {"asym_w4a8_int8", "ComfyUI's asym_w4a8_int8"},
    {"awq_w4a16", "ComfyUI's awq_w4a16"},
}};
constexpr std::string_view kUnknownFormat = "ComfyUI, in a format that is not known here";

class Decoder {
 public:
  Decoder(const Checkpoint& file, StoredLayers& layers) : file_(file), layers_(layers) {}

  void run() {
    for (const TensorEntry& entry : file_.tensors.entries()) {
      const bool describes = entry.name.ends_with(kComfyQuant) && entry.dtype == ElementType::kU8;
      if (describes && entry.bytes() <= kMaxDescriptionBytes) add_described(entry);
    }
    if (file_.tensors.metadata()) add_listed(*file_.tensors.metadata());
    add_listed(file_.differing_metadata);
  }

 private:
  void add_described(const TensorEntry& entry) {
    std::string bytes(static_cast<std::size_t>(entry.bytes()), '\0');
    const auto* text =
        reinterpret_cast<const char*>(file_.read(entry, 0, bytes.size(), bytes.data()));
    const std::optional<JsonValue> description =
        parse_description({text, bytes.size()}, kMaxDescriptionValues);
    if (!description || !description->is_object()) fail(&entry, "it is not a JSON object");
    add(entry.name.substr(0, entry.name.size() - kComfyQuant.size()), *description, &entry);
  }

  void add_listed(const TensorTable::Metadata& metadata) {
    constexpr std::size_t kValuesOfLayer = 16;
    for (const auto& [key, value] : metadata) {
      if (key != kComfyMetadata) continue;
      const std::optional<JsonValue> listed =
          parse_description(value.text(), 1024 + kValuesOfLayer * file_.tensors.size());
      if (!listed || !listed->is_object()) {
        fail(nullptr, "'_quantization_metadata' is no JSON object");
      }
      const JsonValue* all = listed->member("layers");
      if (all == nullptr) continue;
      for (const auto& [layer, description] : all->members()) {
        // Of a layer that is not in this file, or float by now, nothing is said.
        const TensorEntry* codes = file_.tensors.find(layer + std::string(kWeightSuffix));
        const bool is_stored = codes != nullptr && !float_dtype(codes->dtype);
        if (!is_stored || has_entry(file_.tensors, layer, kComfyQuant)) continue;
        add(keep(layer, layers_.memory()), description, nullptr);
      }
    }
  }

  void add(std::string_view layer, const JsonValue& description, const TensorEntry* entry) {
    const std::string_view other = other_format(description);
    if (!other.empty()) return layers_.leave(layer, other);
    const TensorEntry& codes = companion(entry, layer, kWeightSuffix);
    const TensorEntry& scales = companion(entry, layer, kComfyScale);
    if (codes.shape.size() != 2) {
      throw_layer_fault(FileRule::kLayerShape, file_, &codes, "it must have two dimensions");
    }
    check_entry(file_, codes, ElementType::kI8, {codes.shape[0], codes.shape[1]});
    StoredLayer stored{.name = codes.name,
                       .shape = codes.shape,
                       .dtype = dtype_of(layer, description, entry),
                       .format = format_of(codes, scales),
                       .storage = &kStorage,
                       .parts = {{&codes, &scales}},
                       .description = entry,
                       .others = present(file_.tensors, layer, kOthers, layers_.memory())};
    bool partial_byte = false;
    if (!tensor_bytes(stored.dtype, codes.shape, partial_byte)) {
      throw_layer_fault(FileRule::kLayerShape, file_, &codes, "its values overflow 63 bits");
    }
    layers_.add(stored);
  }

  // Of activations.
  static constexpr std::array<std::string_view, 1> kOthers = {".input_scale"};

  // How a layer is stored that is not int8 as it is; else empty.
  static std::string_view other_format(const JsonValue& description) {
    const std::string* format = text_member(description, "format");
    if (format == nullptr) return kUnknownFormat;
    if (*format != "int8_tensorwise") {
      for (const auto& [name, words] : kOtherFormats) {
        if (name == *format) return words;
      }
      return kUnknownFormat;
    }
    if (description.member("num_experts") != nullptr) return "ComfyUI's int8_tensorwise of experts";
    if (is_set(description, "convrot")) return "ComfyUI's int8_tensorwise with ConvRot";
    return {};
  }

  // As Python takes a value for true; fields may stand one level below.
  static bool is_set(const JsonValue& description, std::string_view name) {
    const JsonValue* value = description.member(name);
    if (value == nullptr) {
      const JsonValue* below = description.member("params");
      if (below != nullptr) value = below->member(name);
    }
    if (value == nullptr || value->is_null()) return false;
    if (const bool* boolean = value->boolean()) return *boolean;
    if (const std::uint64_t* whole = value->whole()) return *whole != 0;
    return true;
  }

  Format format_of(const TensorEntry& codes, const TensorEntry& scales) const {
    if (scales.dtype != ElementType::kF32 && scales.dtype != ElementType::kBF16 &&
        scales.dtype != ElementType::kF16) {
      check_entry(file_, scales, ElementType::kF32, {codes.shape[0], 1});
    }
    const bool one_scale = scales.shape.empty() ||
                           (scales.shape.size() == 1 && scales.shape[0] == 1) ||
                           (scales.shape.size() == 2 && scales.shape[0] == 1 &&
                            scales.shape[1] == 1 && codes.shape[0] != 1);
    if (!one_scale) check_entry(file_, scales, scales.dtype, {codes.shape[0], 1});
    const bool is_ours = !one_scale && scales.dtype == ElementType::kF32;
    Format format = default_format(*find_format(is_ours ? "int8_rowwise" : "int8"));
    format.symmetric = true;
    format.group_size = one_scale ? GroupSize::tensor() : GroupSize::row();
    format.scale_dtype = *float_dtype(scales.dtype);
    return format;
  }

  ElementType dtype_of(std::string_view layer, const JsonValue& description,
                       const TensorEntry* entry) {
    const JsonValue* value = description.member("orig_dtype");
    if (value == nullptr) return usual_dtype(layer);
    const std::string* name = value->text();
    if (name == nullptr) fail(entry, "'orig_dtype' is not a string");
    for (const auto& [torch_name, dtype] : kDTypes) {
      if (torch_name == *name) return dtype;
    }
    fail(entry, "'orig_dtype' is no float type: " + *name);
  }

  // Of a layer that does not say what it was: that of its bias, else of most values of the file
  // that were left in floats, else what ComfyUI computes in by default.
  ElementType usual_dtype(std::string_view layer) {
    const TensorEntry* bias = file_.tensors.find(std::string(layer).append(".bias"));
    if (bias != nullptr && float_dtype(bias->dtype)) return bias->dtype;
    if (usual_) return *usual_;
    std::array<std::pair<std::uint64_t, ElementType>, 3> values = {
        {{0, ElementType::kBF16}, {0, ElementType::kF16}, {0, ElementType::kF32}}};
    for (const TensorEntry& tensor : file_.tensors.entries()) {
      if (tensor.name.ends_with(kComfyScale)) continue;
      for (auto& [count, dtype] : values) {
        if (dtype == tensor.dtype) count += tensor.bytes() / block_of(dtype).bytes;
      }
    }
    usual_ =
        std::ranges::max_element(values, {}, [](const auto& each) { return each.first; })->second;
    return *usual_;
  }

  const TensorEntry& companion(const TensorEntry* entry, std::string_view layer,
                               std::string_view suffix) const {
    const std::string name = std::string(layer).append(suffix);
    const TensorEntry* found = file_.tensors.find(name);
    if (found == nullptr) throw_layer_fault(FileRule::kLayerIncomplete, file_, entry, name);
    return *found;
  }

  [[noreturn]] void fail(const TensorEntry* entry, std::string detail) const {
    throw_layer_fault(FileRule::kLayerDescription, file_, entry, std::move(detail));
  }

  const Checkpoint& file_;
  StoredLayers& layers_;
  std::optional<ElementType> usual_;
};

}  // namespace

void decode_comfy_int8(const Checkpoint& file, StoredLayers& layers) {
  Decoder(file, layers).run();
}

}  // namespace quarrow

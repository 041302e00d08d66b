// SPDX-License-Identifier: Apache-2.0
//
// The layers of a file for ComfyUI, whoever wrote it.
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "layouts/comfy_scheme.h"
#include "layouts/description.h"
#include "layouts/layer_names.h"
#include "layouts/usual_dtype.h"
#include "quarrow/core/tensor_view.h"

namespace quarrow {
namespace {

constexpr Storage kStorage;
// A longer description is not one of ComfyUI's.
constexpr std::uint64_t kMaxDescriptionBytes = 4096;
constexpr std::size_t kMaxDescriptionValues = 64;

// The formats of ComfyUI's registry (QUANT_ALGOS) that are not decoded. What a file says is not
// repeated to people unless it is one of these.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kOtherFormats = {{
    {"mxfp8", "ComfyUI's mxfp8"},
    {"nvfp4", "ComfyUI's nvfp4"},
    {"convrot_w4a4", "ComfyUI's convrot_w4a4"},
    {"asym_w4a8_int8", "ComfyUI's asym_w4a8_int8"},
    {"awq_w4a16", "ComfyUI's awq_w4a16"},
}};
// Of the older scheme, below a model's prefix or without one.
constexpr std::string_view kOldMarker = "scaled_fp8";
constexpr std::string_view kUnknownFormat = "ComfyUI, in a format that is not known here";

class Decoder {
 public:
  Decoder(const Checkpoint& file, StoredLayers& layers)
      : file_(file), layers_(layers), usual_(file) {}

  void run() {
    for (const TensorEntry& entry : file_.tensors.entries()) {
      const bool describes = entry.name.ends_with(kComfyQuant) && entry.dtype == ElementType::kU8;
      if (describes && entry.bytes() <= kMaxDescriptionBytes) add_described(entry);
    }
    if (file_.tensors.metadata()) add_listed(*file_.tensors.metadata());
    add_listed(file_.differing_metadata);
    add_old();
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
      if (key != kComfyMetadata || !value.is_text()) continue;
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
    const ComfyFormat& stored = *find_stored(description);
    const TensorEntry& codes = companion(entry, layer, kWeightSuffix);
    const TensorEntry& scales = companion(entry, layer, kComfyScale);
    if (codes.shape.size() != 2) {
      throw_layer_fault(FileRule::kLayerShape, file_, &codes, "it must have two dimensions");
    }
    check_entry(file_, codes, stored.codes, {codes.shape[0], codes.shape[1]});
    StoredLayer found{.name = codes.name,
                      .shape = codes.shape,
                      .dtype = dtype_of(layer, description, entry),
                      .format = format_of(stored, codes, scales),
                      .storage = &kStorage,
                      .description = entry,
                      .others = present(file_.tensors, layer, kOthers, layers_.memory())};
    found.parts[Role::kCodes] = &codes;
    found.parts[stored.scale] = &scales;
    check_size(found, codes);
    layers_.add(found);
  }

  // Layers of the older scheme. Its marker speaks of all layers: it goes when the last one does.
  void add_old() {
    std::size_t left = 0;
    std::vector<StoredLayer> found;
    for (const TensorEntry& scale : file_.tensors.entries()) {
      if (!scale.name.ends_with(kComfyOldScale)) continue;
      const std::optional<StoredLayer> layer = old_layer(scale);
      if (layer) {
        found.push_back(*layer);
      } else {
        ++left;
      }
    }
    if (!found.empty() && left == 0) add_markers();
    for (const StoredLayer& layer : found) layers_.add(layer);
  }

  // Nothing where it is not FP8 with one scale: such layers are left.
  std::optional<StoredLayer> old_layer(const TensorEntry& scale) {
    static constexpr std::array<std::string_view, 1> kOldOthers = {".scale_input"};
    const std::string_view layer = scale.name.substr(0, scale.name.size() - kComfyOldScale.size());
    const TensorEntry* codes = file_.tensors.find(std::string(layer).append(kWeightSuffix));
    const ComfyFormat* stored = codes == nullptr ? nullptr : find_float8(codes->dtype);
    const bool fits = stored != nullptr && codes->shape.size() >= 2 &&
                      codes->shape.size() <= kMaxDimensions && is_one_float(scale);
    if (!fits) return std::nullopt;
    StoredLayer found{.name = codes->name,
                      .shape = codes->shape,
                      .dtype = usual_.of(layer),
                      .format = default_format(*find_format(stored->format)),
                      .storage = &kStorage,
                      .needs_markers = true,
                      .others = present(file_.tensors, layer, kOldOthers, layers_.memory())};
    found.parts[Role::kCodes] = codes;
    found.parts[Role::kTensorScale] = &scale;
    check_size(found, *codes);
    return found;
  }

  static bool is_one_float(const TensorEntry& scale) {
    const bool is_read = scale.dtype == ElementType::kF32 || scale.dtype == ElementType::kBF16 ||
                         scale.dtype == ElementType::kF16;
    return is_read && scale.bytes() == block_of(scale.dtype).bytes;
  }

  void add_markers() {
    std::vector<const TensorEntry*> all;
    for (const TensorEntry& entry : file_.tensors.entries()) {
      const bool is_marker = entry.name == kOldMarker ||
                             (entry.name.ends_with(kOldMarker) &&
                              entry.name[entry.name.size() - kOldMarker.size() - 1] == '.');
      if (is_marker) all.push_back(&entry);
    }
    layers_.set_markers(std::move(all));
  }

  void check_size(const StoredLayer& stored, const TensorEntry& codes) const {
    bool partial_byte = false;
    if (tensor_bytes(stored.dtype, codes.shape, partial_byte)) return;
    throw_layer_fault(FileRule::kLayerShape, file_, &codes, "its values overflow 63 bits");
  }

  // Of activations.
  static constexpr std::array<std::string_view, 1> kOthers = {".input_scale"};

  static const ComfyFormat* find_stored(const JsonValue& description) {
    const std::string* name = text_member(description, "format");
    if (name == nullptr) return nullptr;
    const auto formats = comfy_formats();
    const auto found = std::ranges::find(formats, *name, &ComfyFormat::name);
    return found == formats.end() ? nullptr : &*found;
  }

  static const ComfyFormat* find_float8(ElementType codes) {
    const auto formats = comfy_formats();
    const auto found = std::ranges::find(formats, codes, &ComfyFormat::codes);
    return found == formats.end() || !is_narrow_float(codes) ? nullptr : &*found;
  }

  // How a layer is stored that is not decoded; else empty.
  static std::string_view other_format(const JsonValue& description) {
    if (const ComfyFormat* stored = find_stored(description)) {
      const bool is_int8 = stored->codes == ElementType::kI8;
      if (description.member("num_experts") != nullptr) {
        return is_int8 ? "ComfyUI's int8_tensorwise of experts" : "ComfyUI's FP8 of experts";
      }
      return is_set(description, "convrot") ? "ComfyUI's int8_tensorwise with ConvRot"
                                            : std::string_view();
    }
    const std::string* format = text_member(description, "format");
    if (format == nullptr) return kUnknownFormat;
    for (const auto& [name, words] : kOtherFormats) {
      if (name == *format) return words;
    }
    return kUnknownFormat;
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

  Format format_of(const ComfyFormat& stored, const TensorEntry& codes,
                   const TensorEntry& scales) const {
    if (scales.dtype != ElementType::kF32 && scales.dtype != ElementType::kBF16 &&
        scales.dtype != ElementType::kF16) {
      check_entry(file_, scales, ElementType::kF32, {codes.shape[0], 1});
    }
    const bool one_scale = scales.shape.empty() ||
                           (scales.shape.size() == 1 && scales.shape[0] == 1) ||
                           (scales.shape.size() == 2 && scales.shape[0] == 1 &&
                            scales.shape[1] == 1 && codes.shape[0] != 1);
    if (stored.scale == Role::kTensorScale) {
      if (!one_scale) check_entry(file_, scales, scales.dtype, {});
      return default_format(*find_format(stored.format));
    }
    if (!one_scale) check_entry(file_, scales, scales.dtype, {codes.shape[0], 1});
    const bool is_ours = !one_scale && scales.dtype == ElementType::kF32;
    Format format = default_format(*find_format(is_ours ? stored.format : "int8"));
    format.symmetric = true;
    format.group_size = one_scale ? GroupSize::tensor() : GroupSize::row();
    format.scale_dtype = *float_dtype(scales.dtype);
    return format;
  }

  ElementType dtype_of(std::string_view layer, const JsonValue& description,
                       const TensorEntry* entry) {
    const JsonValue* value = description.member("orig_dtype");
    if (value == nullptr) return usual_.of(layer);
    const std::string* name = value->text();
    if (name == nullptr) fail(entry, "'orig_dtype' is not a string");
    for (const auto& [torch_name, dtype] : kComfyDTypes) {
      if (torch_name == *name) return dtype;
    }
    fail(entry, "'orig_dtype' is no float type: " + *name);
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
  UsualDType usual_;
};

}  // namespace

void decode_comfy(const Checkpoint& file, StoredLayers& layers) { Decoder(file, layers).run(); }

}  // namespace quarrow

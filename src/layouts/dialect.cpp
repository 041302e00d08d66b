// SPDX-License-Identifier: Apache-2.0
#include "quarrow/layouts/dialect.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <utility>

#include "layouts/layer_names.h"

namespace quarrow {

constexpr Dialect kCompressedTensorsDialect{"compressed-tensors", kReaderCompressedTensors};
// No scales at all: values that were cast, which loaders cast back whatever else the file holds.
constexpr Dialect kPlainFloat8Dialect{"FP8 without scales", {}};

namespace {

constexpr Dialect kBitsandbytes{"bitsandbytes", "bitsandbytes"};
constexpr Dialect kNunchaku{"Nunchaku", "Nunchaku"};
constexpr Dialect kGptq{"GPTQ", "GPTQ"};
constexpr Dialect kGptqOrAwq{"GPTQ or AWQ", "GPTQ or AWQ"};
constexpr Dialect kMarlin{"Marlin", "Marlin"};
constexpr Dialect kExl2{"EXL2", "ExLlama"};
constexpr Dialect kExl3{"EXL3", "ExLlama"};
constexpr Dialect kAqlm{"AQLM", "AQLM"};
constexpr Dialect kVptq{"VPTQ", "VPTQ"};
constexpr Dialect kQuip{"QuIP#", "QuIP#"};
constexpr Dialect kSpqr{"SpQR", "SpQR"};
constexpr Dialect kHqq{"HQQ", "HQQ"};
constexpr Dialect kComfy{"ComfyUI", kReaderComfyUi};
constexpr Dialect kComfyOld{"ComfyUI's scaled FP8", kReaderComfyUi};
constexpr Dialect kTorchao{"torchao", "torchao"};
constexpr Dialect kQuanto{"quanto", "quanto"};
constexpr Dialect kMlx{"MLX", "MLX"};
constexpr Dialect kMxfp4{"MXFP4", "transformers (MXFP4)"};
constexpr Dialect kEetq{"EETQ", "EETQ"};
constexpr Dialect kModelOpt{"ModelOpt", "ModelOpt"};
constexpr Dialect kSdnq{"SDNQ", "SDNQ"};
constexpr Dialect kFp8{"FP8 with scales", "FP8 with scales"};
constexpr Dialect kInt8{"int8 with scales", "int8 with scales"};
constexpr Dialect kPacked{"packed weights with scales", "packed weights with scales"};
// Scales beside a float weight: somebody has restored it, and left them.
constexpr Dialect kScaledFloats{"float weights with scales", {}};
// Integers whose meaning no tensor beside them tells.
constexpr Dialect kIntegers{"weights of an integer type", {}};

// Tensors by whose names a layer is known. `entry` is the last part of the name, after the last
// dot; a star at one of its ends stands for anything. What comes before the dot is the layer.
struct Mark {
  const Dialect* dialect;
  std::string_view entry;
  std::string_view beside = {};  // the layer must have this entry too
  enum class If : std::uint8_t {
    kAny,
    kWeightIsNoFloat,  // the layer must have a weight of no float type
    kIsNoFloat,        // this tensor must be of no float type
    kAlone,            // says nothing of what lies beside it
  } when = If::kAny;
};
using If = Mark::If;

// The first that fits a name counts.
constexpr auto kMarks = std::to_array<Mark>({
    // functional.py of bitsandbytes (QuantState.as_dict): "L.weight.quant_map" and so on; its 8
    // bits
    // (nn/modules.py, Linear8bitLt): "L.SCB".
    {&kBitsandbytes, "quant_map"},
    {&kBitsandbytes, "nested_quant_map"},
    {&kBitsandbytes, "absmax"},
    {&kBitsandbytes, "nested_absmax"},
    {&kBitsandbytes, "bitsandbytes__*", {}, If::kAlone},
    {&kBitsandbytes, "SCB"},
    {&kBitsandbytes, "weight_format"},
    // nunchaku's linear layers; those of AWQ in its files have no wscales.
    {&kNunchaku, "qweight", "wscales", If::kIsNoFloat},
    // auto_gptq and GPTQModel (qlinear); AutoAWQ (modules/linear) has the same names but g_idx.
    {&kGptq, "qweight", "g_idx", If::kIsNoFloat},
    {&kGptqOrAwq, "qweight", {}, If::kIsNoFloat},
    {&kGptqOrAwq, "qzeros", {}, If::kIsNoFloat},
    {&kMarlin, "B", "s", If::kIsNoFloat},
    // exllamav2 (linear.py), exllamav3.
    {&kExl2, "q_weight", {}, If::kIsNoFloat},
    {&kExl3, "trellis", {}, If::kIsNoFloat},
    {&kAqlm, "codebooks", "codes"},
    {&kVptq, "indices", "centroids.weight"},
    {&kQuip, "Qidxs", {}, If::kIsNoFloat},
    {&kSpqr, "dense_weights"},
    // hqq (core/quantize.py); W_q may be stored as a view in a float type.
    {&kHqq, "W_q"},
    // comfy/ops.py; the older scheme after comfy/utils.py (convert_old_quants).
    {&kComfy, "comfy_quant"},
    {&kComfyOld, "scale_weight"},
    {&kComfyOld, "scale_input", {}, If::kAlone},
    {&kComfyOld, "scaled_fp8", {}, If::kAlone},
    // compressors/pack_quantized, compressors/nvfp4, compressors/sparse.
    {&kCompressedTensorsDialect, "weight_packed"},
    {&kCompressedTensorsDialect, "bitmask", "compressed"},
    // torchao (prototype/safetensors): "L._weight_qdata"; quanto: "L.weight._data".
    {&kTorchao, "_*_qdata"},
    {&kQuanto, "_data", "_scale"},
    {&kMlx, "biases", "scales"},
    // gpt-oss, as transformers loads it (integrations/mxfp4.py).
    {&kMxfp4, "gate_up_proj_blocks"},
    {&kMxfp4, "down_proj_blocks"},
    {&kMxfp4, "weight_blocks"},
    {&kEetq, "weight_scales"},
    {&kModelOpt, "_amax"},
    // DeepSeek's, transformers' (finegrained_fp8) and the scales of many more. What kind of codes
    // they belong to is seen at the weight.
    {&kPacked, "weight_scale_inv"},
    {&kPacked, "weight_scale_2"},
    {&kPacked, "weight_scale"},
    {&kPacked, "*_scale_inv"},
    {&kPacked, "weight_global_scale"},
    {&kSdnq, "scale", "weight", If::kWeightIsNoFloat},
    // Of activations and of the cache, beside quantized layers and in modules above them.
    {&kPacked, "input_scale", {}, If::kAlone},
    {&kPacked, "output_scale", {}, If::kAlone},
    {&kPacked, "activation_scale", {}, If::kAlone},
    {&kPacked, "input_global_scale", {}, If::kAlone},
    {&kPacked, "pre_quant_scale", {}, If::kAlone},
    {&kPacked, "k_scale", {}, If::kAlone},
    {&kPacked, "v_scale", {}, If::kAlone},
    {&kPacked, "q_scale", {}, If::kAlone},
});

struct SplitName {
  std::string_view layer;  // empty when there is no dot
  std::string_view entry;
};

SplitName split(std::string_view name) noexcept {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return {{}, name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

bool fits(std::string_view entry, std::string_view pattern) noexcept {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return entry == pattern;
  return entry.size() >= pattern.size() && entry.starts_with(pattern.substr(0, star)) &&
         entry.ends_with(pattern.substr(star + 1));
}

// Packed or not; wider integers, truth values and complex numbers are data.
bool may_be_codes(ElementType dtype) noexcept {
  switch (dtype) {
    case ElementType::kU8:
    case ElementType::kI8:
    case ElementType::kI16:
    case ElementType::kU16:
    case ElementType::kI32:
    case ElementType::kU32:
      return true;
    default:
      return false;
  }
}

bool has_codes(const TensorTable& file, std::string_view layer) {
  const TensorEntry* weight = file.find(std::string(layer).append(kWeightSuffix));
  return weight != nullptr && !float_dtype(weight->dtype);
}

const Mark* mark_of(const TensorTable& file, const TensorEntry& tensor) {
  const auto [layer, entry] = split(tensor.name);
  // Nearly all names, so that a file of float tensors costs no more than this.
  if (entry == "weight" || entry == "bias") return nullptr;
  for (const Mark& mark : kMarks) {
    if (!fits(entry, mark.entry)) continue;
    if (mark.beside.data() != nullptr && !has_entry(file, layer, "." + std::string(mark.beside))) {
      continue;
    }
    if (mark.when == If::kWeightIsNoFloat && !has_codes(file, layer)) continue;
    if (mark.when == If::kIsNoFloat && float_dtype(tensor.dtype)) continue;
    return &mark;
  }
  return nullptr;
}

// What scales of common names belong to; fused experts have no weight of that name.
const Dialect* by_codes(const TensorTable& file, std::string_view layer) {
  const TensorEntry* weight = file.find(std::string(layer).append(kWeightSuffix));
  if (weight == nullptr) {
    for (const std::string_view experts : {".gate_up_proj", ".down_proj"}) {
      weight = file.find(std::string(layer).append(experts));
      if (weight != nullptr) break;
    }
  }
  if (weight == nullptr) return &kPacked;
  if (weight->dtype == ElementType::kI8) return &kInt8;
  if (float_dtype(weight->dtype)) return &kScaledFloats;
  return is_narrow_float(weight->dtype) ? &kFp8 : &kPacked;
}

std::size_t rank_of(const Dialect* dialect) noexcept {
  const auto of_mark = [](const Mark& mark) { return mark.dialect; };
  const auto found = std::ranges::find(kMarks, dialect, of_mark);
  return static_cast<std::size_t>(found - kMarks.begin());
}

// The first of the table counts; what has no mark comes last.
bool before(const DialectLayer& left, const DialectLayer& right) noexcept {
  return std::pair(left.name, rank_of(left.dialect)) <
         std::pair(right.name, rank_of(right.dialect));
}

}  // namespace

DialectLayers::DialectLayers(const TensorTable& file) {
  for (const TensorEntry& tensor : file.entries()) {
    const std::string_view layer = split(tensor.name).layer;
    const bool is_weight = tensor.name.ends_with(kWeightSuffix);
    if (const Mark* mark = mark_of(file, tensor)) {
      // Attributes of a weight speak of its module.
      const std::string_view module = layer.ends_with(kWeightSuffix) ? layer_of(layer) : layer;
      if (mark->when != If::kAlone && !module.empty()) layers_.push_back({module, mark->dialect});
    } else if (is_narrow_float(tensor.dtype) && tensor.shape.size() >= 2) {
      layers_.push_back({is_weight ? layer : tensor.name, &kPlainFloat8Dialect});
    } else if (is_weight && may_be_codes(tensor.dtype)) {
      layers_.push_back({layer, &kIntegers});
    }
  }
  std::ranges::sort(layers_, before);
  const auto same_name = [](const DialectLayer& left, const DialectLayer& right) {
    return left.name == right.name;
  };
  layers_.erase(std::unique(layers_.begin(), layers_.end(), same_name), layers_.end());
  for (DialectLayer& layer : layers_) {
    if (layer.dialect == &kPacked) layer.dialect = by_codes(file, layer.name);
  }
  // Scales of a type of their own, and fused experts, belong to the layer that they stand in.
  std::erase_if(layers_, [this](const DialectLayer& layer) {
    if (layer.dialect != &kPlainFloat8Dialect) return layer.dialect == &kScaledFloats;
    const DialectLayer* above = find(split(layer.name).layer);
    return above != nullptr && !above->dialect->reader.empty();
  });
}

const DialectLayer* DialectLayers::owner(const TensorEntry& tensor) const noexcept {
  // A layer is a module, a parameter that is no weight, or has parts with entries of their own.
  const std::string_view module = split(tensor.name).layer;
  for (const std::string_view name : {module, tensor.name, split(module).layer}) {
    if (const DialectLayer* layer = find(name)) return layer;
  }
  return nullptr;
}

const Dialect* DialectLayers::of(const TensorEntry& tensor) const noexcept {
  if (layers_.empty()) return nullptr;
  if (const DialectLayer* layer = owner(tensor)) return layer->dialect;
  const std::string_view entry = split(tensor.name).entry;
  for (const Mark& mark : kMarks) {
    if (mark.when == If::kAlone && fits(entry, mark.entry)) return mark.dialect;
  }
  return nullptr;
}

bool DialectLayers::has(const Dialect& dialect) const noexcept {
  return std::ranges::find(layers_, &dialect, &DialectLayer::dialect) != layers_.end();
}

const DialectLayer* DialectLayers::find(std::string_view name) const noexcept {
  if (name.empty()) return nullptr;
  const auto found = std::ranges::lower_bound(layers_, name, {}, &DialectLayer::name);
  return found != layers_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace quarrow

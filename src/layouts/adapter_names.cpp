// SPDX-License-Identifier: Apache-2.0
//
// The names of low-rank adapters, in the dialects that ComfyUI (comfy/lora.py,
// comfy/weight_adapter), diffusers (loaders/lora_conversion_utils.py) and peft read.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "layouts/layer_names.h"
#include "quarrow/layouts/layout.h"

namespace quarrow {
namespace {

// Parts of a name between dots. A star stands for anything at the end.
constexpr auto kParts = std::to_array<std::string_view>({
    "lora_down",
    "lora_up",
    "lora_mid",  // kohya
    "lora_A",
    "lora_B",
    "lora_E",
    "lora_embedding_*",  // peft
    "lora_a",
    "lora_b",  // torchtune, lit-gpt, mlx
    "lora",
    "lora_linear_layer",
    "lora_magnitude_vector",  // diffusers' older ones, DoRA
    "hada_*",
    "lokr_*",
    "oft_*",
    "boft_*",
    "vera_*",  // LyCORIS, peft
    "ia3_*",
    "glora_*",
    "dora_scale",
});

// Beginnings of names: what trainers call the modules of the model that they adapt.
constexpr auto kPrefixes = std::to_array<std::string_view>(
    {"lora_unet_", "lora_te_", "lora_te1_", "lora_te2_", "lora_te3_", "lora_transformer_",
     "lora_prior_unet_", "lora_prior_te_", "lycoris_"});

// Whose presence says of a whole file that it is a Control-LoRA (comfy/controlnet.py).
constexpr std::string_view kControlLora = "lora_controlnet";

// GLoRA (comfy/weight_adapter/glora.py).
constexpr std::array<std::string_view, 4> kGlora = {".a1.weight", ".a2.weight", ".b1.weight",
                                                    ".b2.weight"};

// "to_q_lora" of diffusers, "qkv_lora1" of XLabs.
bool ends_as_lora(std::string_view part) noexcept {
  const std::size_t digits = part.find_last_not_of("0123456789");
  return digits != std::string_view::npos && part.substr(0, digits + 1).ends_with("_lora");
}

bool is_adapter_part(std::string_view part) noexcept {
  const bool listed = std::ranges::any_of(kParts, [&](std::string_view pattern) {
    return pattern.ends_with('*') ? part.starts_with(pattern.substr(0, pattern.size() - 1))
                                  : part == pattern;
  });
  return listed || ends_as_lora(part);
}

}  // namespace

bool is_adapter_factor(std::string_view name) noexcept {
  const auto begins = [&](std::string_view prefix) { return name.starts_with(prefix); };
  if (std::ranges::any_of(kPrefixes, begins)) return true;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    if (is_adapter_part(name.substr(begin, end - begin))) return true;
    begin = end + 1;
  }
  return false;
}

bool is_adapter_file(const TensorTable& file) {
  if (file.find(kControlLora) != nullptr) return true;
  return std::ranges::any_of(file.entries(), [&](const TensorEntry& tensor) {
    if (!tensor.name.ends_with(kGlora[0])) return false;
    const std::string_view layer = tensor.name.substr(0, tensor.name.size() - kGlora[0].size());
    return std::ranges::all_of(
        kGlora, [&](std::string_view suffix) { return has_entry(file, layer, suffix); });
  });
}

}  // namespace quarrow

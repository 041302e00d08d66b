// SPDX-License-Identifier: Apache-2.0
#include "layouts/model_edges.h"

#include <algorithm>
#include <array>

namespace quarrow {
namespace {

// Modules, with all that is in them. The sources of a name are what leaves it in floats:
//   city96  ComfyUI-GGUF's patch for llama-quantize (tools/lcpp.patch) and its convert.py
//   ctq     convert_to_quant's filters for the architecture
//   sdcpp   stable-diffusion.cpp's own list
//   same    the same layer under the other naming scheme: the runtime's mapping says so
//           (ComfyUI: comfy/utils.py, flux_to_diffusers, mmdit_to_diffusers, unet_to_diffusers)
constexpr std::array<std::string_view, 38> kEdges = {
    // Flux, Chroma, HunyuanVideo, Qwen-Image
    "img_in",
    "txt_in",
    "time_in",
    "vector_in",
    "guidance_in",  // city96, ctq, sdcpp
    "final_layer",  // city96, ctq: with its modulation
    "time_r_in",
    "byt5_in",
    "vision_in",  // HunyuanVideo 1.5: ctq
    // SD 3, Lumina, Z-Image, HiDream, Cosmos
    "x_embedder",
    "t_embedder",
    "y_embedder",
    "p_embedder",
    "cap_embedder",
    "context_embedder",
    "caption_projection",  // city96, ctq
    // Flux, SD 3, Qwen-Image and others in diffusers' names
    "time_text_embed",  // city96, ctq; same: time_in, vector_in, guidance_in, t_embedder,
                        // y_embedder
    "norm_out",         // ctq; same: final_layer.adaLN_modulation
    "proj_out",         // city96, ctq; same: final_layer.linear
    // SD 1, 2, XL: original names, then diffusers'
    "time_embed",
    "label_emb",  // city96, sdcpp
    "time_embedding",
    "class_embedding",
    "add_embedding",  // city96; same: time_embed, label_emb
    // LTX
    "adaln_single",
    "audio_adaln_single",
    "patchify_proj",
    "audio_patchify_proj",
    "audio_proj_out",
    // Wan: original names, then diffusers'
    "patch_embedding",
    "text_embedding",
    "time_projection",
    "img_emb",
    "head",                // city96
    "condition_embedder",  // same: text_embedding, time_embedding, time_projection, img_emb
    // AuraFlow
    "init_x_linear",
    "cond_seq_linear",
    "final_linear",  // city96
};

bool is_number(std::string_view part) noexcept {
  return !part.empty() && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

// A number before the module means that it is in one of many blocks: proj_out of
// "single_transformer_blocks.0.proj_out" (Flux's linear2) and of "input_blocks.1.1.proj_out" is a
// projection like its neighbours.
bool is_model_edge(std::string_view weight_name) noexcept {
  while (true) {
    const std::size_t dot = weight_name.find('.');
    if (dot == std::string_view::npos) return false;
    const std::string_view part = weight_name.substr(0, dot);
    if (is_number(part)) return false;
    if (std::ranges::count(kEdges, part) != 0) return true;
    weight_name.remove_prefix(dot + 1);
  }
}

}  // namespace quarrow

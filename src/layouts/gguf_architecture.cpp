// SPDX-License-Identifier: Apache-2.0
#include "layouts/gguf_architecture.h"

#include <array>

#include "layouts/comfy_names.h"

namespace quarrow {
namespace {

struct Line {
  comfy::Marker marker;
  std::string_view architecture;
};

// The names that ComfyUI-GGUF's loader accepts (loader.py), in the order in which ComfyUI tells the
// models apart; it looks at the tensors itself, and takes newer models under the name of a kin.
constexpr std::array kLines = {
    Line{{"joint_blocks.0.x_block.attn.qkv.weight"}, "sd3"},
    Line{{"double_layers.0.attn.w1q.weight"}, "aura"},
    Line{{"txt_in.individual_token_refiner.blocks.0.norm1.weight"}, "hyvid"},
    Line{{"double_blocks.0.img_attn.norm.key_norm.scale"}, "flux"},
    Line{{"double_blocks.0.img_attn.norm.key_norm.weight"}, "flux"},
    Line{{"adaln_single.emb.timestep_embedder.linear_1.bias", "patchify_proj.weight"}, "ltxv"},
    Line{{"cap_embedder.1.weight", "noise_refiner.0.attention.k_norm.weight"}, "lumina2"},
    Line{{"head.modulation"}, "wan"},
    Line{{"caption_projection.0.linear.weight"}, "hidream"},
    Line{{"blocks.0.mlp.layer1.weight"}, "cosmos"},
    Line{{"txt_norm.weight"}, "qwen_image"},
    Line{{"input_blocks.0.0.weight", "label_emb.0.0.weight"}, "sdxl"},
    Line{{"input_blocks.0.0.weight"}, "sd1"},
};

}  // namespace

std::string_view gguf_architecture(const TensorTable& file) {
  // The second is that of a checkpoint, which loaders take off.
  for (const std::string_view prefix : {"", "model.diffusion_model."}) {
    for (const Line& line : kLines) {
      if (comfy::has_any(file, prefix, {&line.marker, 1})) return line.architecture;
    }
  }
  return {};
}

}  // namespace quarrow

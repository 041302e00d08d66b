// SPDX-License-Identifier: Apache-2.0
#include "layouts/comfy_names.h"

#include <algorithm>
#include <array>
#include <string>

namespace quarrow::comfy {
namespace {

// comfy/model_detection.py, detect_unet_config: each of its tests, in its order.
constexpr std::array kDiffusion = {
    Marker{"cond_layer_logits", "latent_conditioners.0.weight"},  // MiniMax Music
    Marker{"joint_blocks.0.context_block.attn.qkv.weight"},       // SD 3
    Marker{"clf.1.weight"},                                       // Stable Cascade
    Marker{"img2shape.t_embedder.mlp.0.weight"},                  // Trellis 2
    Marker{"shape2txt.t_embedder.mlp.0.weight"},
    Marker{"transformer.rotary_pos_emb.inv_freq"},                    // Stable Audio
    Marker{"double_layers.0.attn.w1q.weight"},                        // AuraFlow
    Marker{"mlp_t5.0.weight"},                                        // HunyuanDiT
    Marker{"txt_in.individual_token_refiner.blocks.0.norm1.weight"},  // HunyuanVideo
    Marker{"double_blocks.0.img_attn.norm.key_norm.scale"},           // Flux, Chroma
    Marker{"double_blocks.0.img_attn.norm.key_norm.weight"},          // the same, renamed
    Marker{"t5_yproj.weight"},                                        // Mochi
    Marker{"video_patch_proj.weight", "audio_patch_proj.weight"},     // MiniMax H3
    Marker{"adaln_single.emb.timestep_embedder.linear_1.bias"},       // LTX
    Marker{"genre_embedder.weight"},                                  // ACE-Step
    Marker{"t_block.1.weight"},                                       // PixArt
    Marker{"blocks.block0.blocks.0.block.attn.to_q.0.weight"},        // Cosmos
    Marker{"lq_proj.latent_proj.0.weight"},                           // PiD
    Marker{"core.pixel_embedder.proj.weight"},                        // PixelDiT
    Marker{"cap_embedder.1.weight", "noise_refiner.0.attention.k_norm.weight"},  // Lumina, Z-Image
    Marker{"blocks.0.norm1.linear.weight"},                                      // CogVideoX
    Marker{"blocks.35.mlp.vid.proj_out.weight"},                                 // SeedVR 2
    Marker{"blocks.35.mlp.all.proj_in_gate.weight"},
    Marker{"blocks.31.mlp.all.proj_in_gate.weight"},
    Marker{"head.modulation"},                                          // Wan
    Marker{"latent_in.weight"},                                         // Hunyuan 3D
    Marker{"t_embedder.mlp.2.weight", "blocks.0.attn1.k_norm.weight"},  // Hunyuan 3D 2.1
    Marker{"cam_out_layer.weight", "repo_layers.0.final_map.weight"},   // TripoSplat
    Marker{"t_embedder1.mlp.0.weight", "x_embedder.proj1.weight"},      // HiDream-O1
    Marker{"caption_projection.0.linear.weight"},                       // HiDream
    Marker{"blocks.0.mlp.layer1.weight"},                               // Cosmos Predict 2
    Marker{"double_stream_layers.0.img_instruct_attn.processor.img_to_q.weight"},  // Boogu
    Marker{"time_caption_embed.timestep_embedder.linear_1.bias"},                  // OmniGen 2
    Marker{"transformer_blocks.0.attn.norm_added_q.weight",
           "transformer_blocks.0.img_mlp.w1.weight"},                       // Lens
    Marker{"txt_norm.weight"},                                              // Qwen-Image, Mage-Flow
    Marker{"embed_image_indicator.weight"},                                 // Ideogram 4
    Marker{"txtfusion.projector.weight"},                                   // Krea 2
    Marker{"visual_transformer_blocks.0.cross_attention.key_norm.weight"},  // Kandinsky 5
    Marker{"encoder.lyric_encoder.layers.0.input_layernorm.weight"},        // ACE-Step 1.5
    Marker{"encoder.pan_blocks.1.cv4.conv.weight"},                         // RT-DETR
    Marker{"backbone.embeddings.patch_embeddings.projection.weight"},       // Depth Anything 3
    Marker{"layers.0.mlp.linear_fc2.weight"},                               // Ernie
    Marker{"detector.backbone.vision_backbone.trunk.blocks.0.attn.qkv.weight"},  // SAM 3
    Marker{"double_blocks.0.attn.img_attn_qkv.weight",
           "condition_embedder.time_embedder.linear_1.weight", "img_in.weight"},  // JoyImage
    Marker{"input_blocks.0.0.weight"},                                            // SD 1, 2, XL
};

// comfy/supported_models.py: their clip_target asks no encoder whether it is quantized.
constexpr std::array kFloatEncoders = {
    Marker{"t_block.1.weight"},                 // PixArt
    Marker{"core.pixel_embedder.proj.weight"},  // PixelDiT
    Marker{"lq_proj.latent_proj.0.weight"},     // PiD
};

// Names that end in a dot stand for all that begin so: a part of such a model is known by them too.
constexpr std::array kControl = {
    // comfy/controlnet.py, load_controlnet_state_dict
    Marker{"after_proj_list.18.bias"},     // HunyuanDiT
    Marker{"lora_controlnet"},             // Control-LoRA
    Marker{"controlnet_cond_embedding."},  // diffusers' SD 1, 2, XL
    Marker{"controlnet_down_blocks."},     // the same
    Marker{"controlnet_blocks."},          // Flux, SD 3, Qwen-Image, MistoLine
    Marker{"controlnet_single_blocks."},   // Flux
    Marker{"control_blocks.0.after_proj.weight", "control_img_in.weight"},  // Qwen-Image Fun
    Marker{"zero_convs."},                                                  // SD in original names
    // The same file, load_t2i_adapter
    Marker{"adapter.body."},
    Marker{"body.0.in_conv.weight"},
    Marker{"conv_in.weight", "body.0.block2.weight"},
    Marker{"backbone.0.0.weight"},  // Stable Cascade
    Marker{"backbone.10.blocks.0.weight"},
};

// comfy_extras/nodes_model_patch.py, load_model_patch.
constexpr std::array kPatches = {
    Marker{"lllite_conditioning1.conv1.weight"}, Marker{"feature_embedder.mid_layer_norm.bias"},
    Marker{"control_all_x_embedder.2-1.weight"}, Marker{"controlnet_patch_embedding.weight"},
    Marker{"audio_proj.proj1.weight"},
};

// comfy/model_detection.py, detect_unet_config leaves it to convert_diffusers_mmdit.
constexpr std::array kDiffusersPixart = {
    Marker{"adaln_single.emb.timestep_embedder.linear_1.bias", "pos_embed.proj.bias"},
};

constexpr std::array kDiffusers = {
    // comfy/model_detection.py, convert_diffusers_mmdit
    Marker{"joint_transformer_blocks.0.attn.add_k_proj.weight"},                     // AuraFlow
    Marker{"noise_refiner.0.attention.norm_k.weight"},                               // Z-Image
    Marker{"x_embedder.weight", "transformer_blocks.0.attn.to_q.weight"},            // Flux
    Marker{"single_transformer_blocks."},                                            // the same
    Marker{"transformer_blocks.0.attn.add_q_proj.weight", "pos_embed.proj.weight"},  // SD 3
    // The same file, unet_config_from_diffusers_unet
    Marker{"down_blocks."},
    Marker{"up_blocks."},
    // No loader knows these: Wan, HunyuanVideo, Lumina, LTX, CogVideoX, HunyuanDiT, HiDream, Mochi,
    // Sana in diffusers' names (diffusers/models/transformers).
    Marker{"condition_embedder.time_embedder.linear_1.weight", "blocks.0.attn1.to_q.weight"},
    Marker{"context_embedder.time_text_embed.timestep_embedder.linear_1.weight",
           "transformer_blocks.0.attn.to_q.weight"},
    Marker{"time_caption_embed.timestep_embedder.linear_1.weight", "layers.0.attn.to_q.weight"},
    Marker{"time_embed.emb.timestep_embedder.linear_1.weight", "proj_in.weight",
           "transformer_blocks.0.attn1.to_q.weight"},
    Marker{"patch_embed.proj.weight", "transformer_blocks.0.attn1.to_q.weight"},
    Marker{"pos_embed.proj.weight", "blocks.0.attn1.to_q.weight"},
    Marker{"patch_embed.proj.weight", "transformer_blocks.0.attn1.add_q_proj.weight"},
    Marker{"caption_projection.linear_1.weight", "transformer_blocks.0.attn1.to_q.weight"},
};

// comfy/sd.py: detect_te_model, then what load_text_encoder_state_dicts asks of t5xxl_detect and
// llama_detect. Whatever has decoder layers of this kind is one of them.
constexpr std::array kLargeEncoders = {
    Marker{"encoder.block.23.layer.1.DenseReluDense.wi.weight"},  // T5-XXL 1.0; 1.1: see below
    Marker{"model.layers.0.post_attention_layernorm.weight",
           "model.layers.0.self_attn.k_proj.weight"},
    Marker{"model.layers.0.post_feedforward_layernorm.weight",
           "model.layers.0.self_attn.k_proj.weight"},
    Marker{"model.layers.0.self_attn.k_proj.bias", "model.layers.0.self_attn.k_proj.weight"},
    Marker{"layers.0.self_attn.sinks", "layers.0.mlp.experts.gate_up_proj.weight"},  // GPT-OSS
    Marker{"model.language_model.layers.0.linear_attn.A_log",
           "model.language_model.layers.0.input_layernorm.weight"},  // Qwen 3.5
    Marker{"model.visual.deepstack_merger_list.0.norm.weight"},      // Qwen3-VL
};

constexpr std::array kEncoders = {
    Marker{"text_model.encoder.layers.0.mlp.fc1.weight"},             // CLIP-L, -G, -H
    Marker{"transformer.resblocks.0.ln_1.weight"},                    // the same by open_clip
    Marker{"model.encoder.layers.0.mixer.Wqkv.weight"},               // Jina CLIP
    Marker{"encoder.block.0.layer.0.SelfAttention.k.weight"},         // T5-base, T5-XL, ByT5
    Marker{"model.encoder.layers.0.pre_self_attn_layernorm.weight"},  // T5-Gemma
};

// comfy/sd.py, VAE.
constexpr std::array kQuantizedVaes = {
    Marker{"decoder.transformer_blocks.0.scale1", "encoder.down.5.block.0.conv1.weight"},  // H3
};

constexpr std::array kVaes = {
    Marker{"decoder.up_blocks.0.resnets.0.norm1.weight"},  // diffusers
    Marker{"decoder.conv_in.weight"},
    Marker{"decoder.conv_in.conv.weight"},
    Marker{"decoder.conv_in_x_t.weight"},
    Marker{"decoder.mid.block_1.mix_factor"},
    Marker{"decoder.middle.0.residual.0.gamma"},  // Wan
    Marker{"decoder.unpatcher3d.wavelets"},
    Marker{"decoder.up_blocks.0.res_blocks.0.conv1.conv.weight"},  // LTX
    Marker{"decoder.up_blocks.2.upsamplers.0.upscale_conv.weight"},
    Marker{"decoder.layers.1.layers.0.beta"},
    Marker{"decoder.layers.3.transformers.0.pre_norm.alpha"},
    Marker{"decoder.blocks.2.blocks.3.stack.5.weight"},  // Mochi
    Marker{"blocks.2.blocks.3.stack.5.weight"},
    Marker{"encoder.layers.4.layers.1.attn_block.attn.qkv.weight"},
    Marker{"layers.4.layers.1.attn_block.attn.qkv.weight"},
    Marker{"taesd_decoder.1.weight"},
    Marker{"vquantizer.codebook.weight"},
    Marker{"student.dconv_encoder.proj_out.weight"},
    Marker{"shape_dec.blocks.1.16.to_subdiv.weight"},
    Marker{"txt_dec.blocks.3.4.conv2.weight"},
    Marker{"geo_decoder.cross_attn_decoder.ln_1.bias"},
    Marker{"vocoder.backbone.channel_layers.0.0.bias"},
    Marker{"vocoder.activation_post.downsample.lowpass.filter"},
    Marker{"vocoder.resblocks.0.convs1.0.weight"},
    Marker{"vocoder.vocoder.resblocks.0.convs1.0.weight"},
    Marker{"pre_block.attn.zero_k_bias"},
    Marker{"gs.base_offset_scale", "octree.out_proj.weight"},
};

// comfy/clip_vision.py, load_clipvision_from_sd.
constexpr std::array kVision = {
    Marker{"vision_model.encoder.layers.0.layer_norm1.weight"},
    Marker{"visual.transformer.resblocks.0.attn.in_proj_weight"},
    Marker{"encoder.layer.23.layer_scale2.lambda1"},  // DINOv2
    Marker{"layer.0.mlp.gate_proj.weight", "layer.31.norm1.weight"},
    Marker{"layer.23.attention.o_proj.bias"},  // DINOv3
};

// comfy/supported_models.py, the clip_target of each model: those whose state dict is given to
// t5_xxl_detect or llama_detect, and the one that is always built for quantized layers.
constexpr std::array<std::string_view, 16> kLargeEncoderNames = {
    "t5xxl",     "umt5xxl",    "llama",      "gpt_oss",    "gemma2_2b", "mistral3_24b",
    "qwen25_3b", "qwen25_7b",  "qwen3_06b",  "qwen3_2b",   "qwen3_4b",  "qwen3_8b",
    "qwen3vl",   "qwen3vl_4b", "qwen3vl_8b", "qwen3vl_32b"};

}  // namespace

bool has_any(const TensorTable& file, std::string_view prefix, std::span<const Marker> table) {
  // Most files have no name of most prefixes, and a small file's job is not much longer than this.
  if (!file.has_prefix(prefix)) return false;
  std::string whole;
  const auto has = [&](std::string_view name) {
    if (name.empty()) return true;
    if (!prefix.empty()) whole.assign(prefix).append(name);
    const std::string_view wanted = prefix.empty() ? name : whole;
    return name.ends_with('.') ? file.has_prefix(wanted) : file.find(wanted) != nullptr;
  };
  return std::ranges::any_of(table, [&](const Marker& marker) {
    return has(marker.name) && has(marker.also) && has(marker.and_also);
  });
}

std::span<const Marker> diffusion_models() noexcept { return kDiffusion; }
std::span<const Marker> float_encoder_models() noexcept { return kFloatEncoders; }
std::span<const Marker> control_models() noexcept { return kControl; }
std::span<const Marker> model_patches() noexcept { return kPatches; }
std::span<const Marker> diffusers_pixart() noexcept { return kDiffusersPixart; }
std::span<const Marker> diffusers_models() noexcept { return kDiffusers; }
std::span<const Marker> large_text_encoders() noexcept { return kLargeEncoders; }
std::span<const Marker> text_encoders() noexcept { return kEncoders; }
std::span<const Marker> quantized_vaes() noexcept { return kQuantizedVaes; }
std::span<const Marker> vaes() noexcept { return kVaes; }
std::span<const Marker> vision_models() noexcept { return kVision; }
std::span<const std::string_view> large_encoder_names() noexcept { return kLargeEncoderNames; }

}  // namespace quarrow::comfy

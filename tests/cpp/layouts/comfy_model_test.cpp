// SPDX-License-Identifier: Apache-2.0
//
// What files of real names are to ComfyUI 0.33. tests/oracles/test_comfyui.py asks ComfyUI itself.
#include "quarrow/layouts/comfy_model.h"

#include <gtest/gtest.h>

#include <string>

#include "layouts/named_tensors.h"

namespace quarrow {
namespace {

constexpr auto kNone = StayReason::kNone;

// What becomes of `layer` in a file that has these names too.
StayReason reason_of(NamedTensors tensors, std::string_view layer) {
  const ComfyModel model(tensors.add(layer).table());
  EXPECT_TRUE(model.known()) << layer;
  return model.misread_reason(layer);
}

TEST(ComfyModel, LoadsDiffusionModelsInOriginalNames) {
  const std::string_view flux = "double_blocks.0.img_attn.norm.key_norm.scale";
  EXPECT_EQ(reason_of({flux}, "double_blocks.0.img_attn.qkv.weight"), kNone);
  EXPECT_EQ(reason_of({"input_blocks.0.0.weight"},
                      "input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"),
            kNone);
  EXPECT_EQ(reason_of({"joint_blocks.0.context_block.attn.qkv.weight"},
                      "joint_blocks.0.x_block.mlp.fc1.weight"),
            kNone);
  EXPECT_EQ(reason_of({"head.modulation"}, "blocks.0.self_attn.q.weight"), kNone);
  EXPECT_EQ(reason_of({"txt_norm.weight"}, "transformer_blocks.0.attn.to_q.weight"), kNone);
  EXPECT_EQ(reason_of({"cap_embedder.1.weight", "noise_refiner.0.attention.k_norm.weight"},
                      "layers.0.attention.qkv.weight"),
            kNone);
  EXPECT_EQ(reason_of({"adaln_single.emb.timestep_embedder.linear_1.bias"},
                      "transformer_blocks.0.attn1.to_q.weight"),
            kNone);
}

TEST(ComfyModel, LosesTheScalesOfDiffusersNames) {
  constexpr auto kReason = StayReason::kComfyDiffusersNames;
  EXPECT_EQ(reason_of({"conv_in.weight", "down_blocks.0.resnets.0.conv1.weight"},
                      "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"),
            kReason);
  EXPECT_EQ(reason_of({"x_embedder.weight"}, "transformer_blocks.0.attn.to_q.weight"), kReason);
  EXPECT_EQ(reason_of({}, "single_transformer_blocks.7.proj_mlp.weight"), kReason);
  EXPECT_EQ(reason_of({"pos_embed.proj.weight", "transformer_blocks.0.attn.add_q_proj.weight"},
                      "transformer_blocks.0.ff.net.2.weight"),
            kReason);
  // LTX's mark is among the names of PixArt.
  EXPECT_EQ(reason_of({"adaln_single.emb.timestep_embedder.linear_1.bias", "pos_embed.proj.bias"},
                      "transformer_blocks.0.attn1.to_q.weight"),
            kReason);
  EXPECT_EQ(
      reason_of({"noise_refiner.0.attention.norm_k.weight"}, "layers.0.attention.to_q.weight"),
      kReason);
  EXPECT_EQ(
      reason_of({"condition_embedder.time_embedder.linear_1.weight"}, "blocks.0.attn1.to_q.weight"),
      kReason);
}

TEST(ComfyModel, LoadsNoControlNetQuantized) {
  constexpr auto kReason = StayReason::kComfyControl;
  EXPECT_EQ(reason_of({"controlnet_cond_embedding.conv_in.weight", "conv_in.weight"},
                      "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"),
            kReason);
  // The names of the UNet that it is for, alone and as published with a prefix.
  for (const std::string prefix : {"", "control_model."}) {
    const std::string first = prefix + "input_blocks.0.0.weight";
    const std::string zero = prefix + "zero_convs.0.0.weight";
    EXPECT_EQ(reason_of({first, zero},
                        prefix + "input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"),
              kReason);
  }
  EXPECT_EQ(reason_of({"controlnet_blocks.0.weight", "controlnet_x_embedder.weight"},
                      "transformer_blocks.0.attn.to_q.weight"),
            kReason);
  EXPECT_EQ(
      reason_of({"controlnet_blocks.0.weight", "double_blocks.0.img_attn.norm.key_norm.scale"},
                "double_blocks.0.img_attn.qkv.weight"),
      kReason);
  EXPECT_EQ(reason_of({"lora_controlnet"}, "input_blocks.1.1.proj_in.weight"), kReason);
  EXPECT_EQ(reason_of({"body.0.in_conv.weight"}, "body.1.weight"), kReason);
}

TEST(ComfyModel, LoadsLargeTextEncodersQuantized) {
  NamedTensors t5{"encoder.block.0.layer.0.SelfAttention.k.weight"};
  t5.add("encoder.block.23.layer.1.DenseReluDense.wi_1.weight", {10240, 4096});
  t5.add("decoder.block.0.layer.0.SelfAttention.q.weight");
  const ComfyModel xxl(t5.add("lm_head.weight").table());
  EXPECT_EQ(xxl.misread_reason("encoder.block.0.layer.0.SelfAttention.q.weight"), kNone);
  EXPECT_EQ(xxl.misread_reason("decoder.block.0.layer.0.SelfAttention.q.weight"),
            StayReason::kComfyOther);
  EXPECT_EQ(xxl.misread_reason("lm_head.weight"), StayReason::kComfyChanged);

  EXPECT_EQ(reason_of({"model.layers.0.post_attention_layernorm.weight",
                       "model.layers.0.self_attn.q_norm.weight"},
                      "model.layers.0.self_attn.k_proj.weight"),
            kNone);
  EXPECT_EQ(reason_of({"model.visual.deepstack_merger_list.0.norm.weight"},
                      "model.language_model.layers.0.self_attn.q_proj.weight"),
            kNone);
}

TEST(ComfyModel, LosesTheScalesOfOtherTextEncoders) {
  constexpr auto kReason = StayReason::kComfyTextEncoder;
  EXPECT_EQ(reason_of({}, "text_model.encoder.layers.0.mlp.fc1.weight"), kReason);
  EXPECT_EQ(
      reason_of({"transformer.resblocks.0.ln_1.weight"}, "transformer.resblocks.0.mlp.c_fc.weight"),
      kReason);
  EXPECT_EQ(reason_of({}, "encoder.block.0.layer.0.SelfAttention.k.weight"), kReason);  // T5-base
  NamedTensors xl{"encoder.block.0.layer.0.SelfAttention.k.weight"};
  xl.add("encoder.block.23.layer.1.DenseReluDense.wi_1.weight", {5120, 2048});
  EXPECT_EQ(reason_of(std::move(xl), "encoder.block.0.layer.0.SelfAttention.q.weight"), kReason);
}

TEST(ComfyModel, LosesTheScalesOfVaesAndVisionModels) {
  EXPECT_EQ(reason_of({"decoder.conv_in.weight"}, "decoder.mid.attn_1.q.weight"),
            StayReason::kComfyVae);
  EXPECT_EQ(reason_of({"decoder.up_blocks.0.resnets.0.norm1.weight"},
                      "decoder.mid_block.attentions.0.to_q.weight"),
            StayReason::kComfyVae);
  EXPECT_EQ(reason_of({"vision_model.encoder.layers.0.layer_norm1.weight"},
                      "vision_model.encoder.layers.0.mlp.fc1.weight"),
            StayReason::kComfyOther);
  // A patch for Z-Image.
  EXPECT_EQ(
      reason_of({"control_all_x_embedder.2-1.weight"}, "control_layers.0.attention.qkv.weight"),
      StayReason::kComfyOther);
  // The one VAE that is loaded quantized.
  EXPECT_EQ(reason_of({"decoder.transformer_blocks.0.scale1", "encoder.down.5.block.0.conv1.weight",
                       "decoder.conv_in.weight"},
                      "decoder.transformer_blocks.0.attn.qkv.weight"),
            kNone);
}

// Names of a checkpoint: `model` for the diffusion model, of which more than five are needed.
NamedTensors checkpoint(std::initializer_list<std::string_view> model,
                        std::initializer_list<std::string_view> others) {
  NamedTensors tensors(others);
  for (const std::string_view name : model) {
    tensors.add(std::string("model.diffusion_model.").append(name));
  }
  for (int block = 0; block < 6; ++block) {
    tensors.add("model.diffusion_model.blocks." + std::to_string(block) + ".fc.weight");
  }
  return tensors;
}

TEST(ComfyModel, TakesThePartsOfACheckpointOneByOne) {
  NamedTensors tensors =
      checkpoint({"input_blocks.0.0.weight"},
                 {"cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight",
                  "conditioner.embedders.1.model.transformer.resblocks.0.mlp.c_fc.weight",
                  "first_stage_model.decoder.conv_in.weight", "control_model.zero_convs.0.0.weight",
                  "model_ema.decay"});
  const ComfyModel model(tensors.table());
  EXPECT_TRUE(model.known());
  EXPECT_EQ(model.misread_reason("model.diffusion_model.blocks.0.fc.weight"), kNone);
  EXPECT_EQ(model.misread_reason(
                "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight"),
            StayReason::kComfyTextEncoder);
  EXPECT_EQ(
      model.misread_reason("conditioner.embedders.1.model.transformer.resblocks.0.mlp.c_fc.weight"),
      StayReason::kComfyTextEncoder);
  EXPECT_EQ(model.misread_reason("first_stage_model.decoder.mid.attn_1.q.weight"),
            StayReason::kComfyVae);
  EXPECT_EQ(model.misread_reason("control_model.middle_block.1.proj_in.weight"),
            StayReason::kComfyControl);
  EXPECT_EQ(model.misread_reason("model_ema.fc.weight"), StayReason::kComfyOther);
}

TEST(ComfyModel, LoadsLargeTextEncodersOfCheckpointsWhereTheModelAsksForThem) {
  const std::string_view t5 =
      "text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q.weight";
  const std::string_view clip =
      "text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.weight";
  NamedTensors flux = checkpoint({"double_blocks.0.img_attn.norm.key_norm.scale"}, {t5, clip});
  const ComfyModel model(flux.table());
  EXPECT_EQ(model.misread_reason(t5), kNone);
  EXPECT_EQ(model.misread_reason(clip), StayReason::kComfyTextEncoder);
  // PixArt's loader does not ask whether its T5 is quantized.
  NamedTensors pixart = checkpoint({"t_block.1.weight"}, {t5});
  EXPECT_EQ(ComfyModel(pixart.table()).misread_reason(t5), StayReason::kComfyTextEncoder);
}

TEST(ComfyModel, LeavesWhatIsSplitWithoutItsScale) {
  NamedTensors pixel = checkpoint({"core.pixel_embedder.proj.weight"}, {});
  const ComfyModel model(pixel.table());
  EXPECT_EQ(
      model.misread_reason("model.diffusion_model.core.pixel_blocks.0.adaLN_modulation.0.weight"),
      StayReason::kComfyChanged);
  EXPECT_EQ(model.misread_reason("model.diffusion_model.core.patch_blocks.0.mlp.w1.weight"), kNone);
}

TEST(ComfyModel, HoldsNothingBackOfUnknownFiles) {
  NamedTensors toy{"q.weight", "blocks.0.fc.weight"};
  const ComfyModel model(toy.table());
  EXPECT_FALSE(model.known());
  EXPECT_EQ(model.misread_reason("q.weight"), kNone);
  EXPECT_EQ(model.misread_reason("lm_head.weight"), kNone);
  // Too few names for a prefix, and a prefix that any module may have.
  NamedTensors few{"model.diffusion_model.fc.weight"};
  EXPECT_FALSE(ComfyModel(few.table()).known());
  NamedTensors net;
  for (int layer = 0; layer < 9; ++layer) net.add("net." + std::to_string(layer) + ".weight");
  EXPECT_FALSE(ComfyModel(net.table()).known());
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "layouts/model_edges.h"

#include <gtest/gtest.h>

#include "layouts/named_tensors.h"
#include "quarrow/layouts/layout.h"

namespace quarrow {
namespace {

StayReason reason_of(std::string_view name) {
  return default_stay_reason(NamedTensors{name}.table()[0]);
}

// The same layer under both names, by ComfyUI's mapping of diffusers' names.
TEST(ModelEdges, AreTheSameLayersUnderEitherNames) {
  for (const std::string_view name : {"img_in.weight",
                                      "x_embedder.weight",  //
                                      "txt_in.weight",
                                      "context_embedder.weight",  //
                                      "time_in.in_layer.weight",
                                      "time_text_embed.timestep_embedder.linear_1.weight",  //
                                      "vector_in.out_layer.weight",
                                      "time_text_embed.text_embedder.linear_2.weight",  //
                                      "guidance_in.in_layer.weight",
                                      "time_text_embed.guidance_embedder.linear_1.weight",
                                      "final_layer.linear.weight",
                                      "proj_out.weight",  //
                                      "final_layer.adaLN_modulation.1.weight",
                                      "norm_out.linear.weight",  //
                                      "t_embedder.mlp.0.weight",
                                      "y_embedder.mlp.2.weight",  //
                                      "time_embed.0.weight",
                                      "time_embedding.linear_1.weight",  //
                                      "label_emb.0.0.weight",
                                      "add_embedding.linear_1.weight",  //
                                      "text_embedding.0.weight",
                                      "condition_embedder.text_embedder.linear_1.weight"}) {
    EXPECT_NE(reason_of(name), StayReason::kNone) << name;
    const std::string in_checkpoint = std::string("model.diffusion_model.").append(name);
    EXPECT_NE(reason_of(in_checkpoint), StayReason::kNone) << name;
  }
  EXPECT_EQ(reason_of("img_in.weight"), StayReason::kModelEdge);
  EXPECT_EQ(reason_of("x_embedder.weight"), StayReason::kEmbedding);
}

TEST(ModelEdges, AreNotInsideOfBlocks) {
  for (const std::string_view name :
       {"single_transformer_blocks.0.proj_out.weight",  // Flux's linear2
        "input_blocks.1.1.proj_out.weight", "mid_block.attentions.0.proj_out.weight",
        "double_blocks.0.img_mod.lin.weight", "transformer_blocks.0.norm1.linear.weight",
        "input_blocks.1.0.emb_layers.1.weight", "down_blocks.0.resnets.0.time_emb_proj.weight",
        "blocks.0.self_attn.q.weight", "img_in_patch.weight"}) {
    EXPECT_EQ(reason_of(name), StayReason::kNone) << name;
  }
}

TEST(ModelEdges, DoNotTearAdaptersApart) {
  EXPECT_EQ(reason_of("transformer.proj_out.lora_A.weight"), StayReason::kNone);
}

TEST(ModelEdges, TablesOfBiasesAreEmbeddings) {
  EXPECT_EQ(reason_of("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
            StayReason::kEmbedding);
}

}  // namespace
}  // namespace quarrow

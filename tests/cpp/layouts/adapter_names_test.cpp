// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "layouts/table_of.h"
#include "quarrow/layouts/layout.h"

namespace quarrow {
namespace {

TEST(AdapterNames, AreThoseOfFactorsInEveryDialect) {
  for (const std::string_view name :
       {"lora_unet_x.lora_down.weight", "lora_unet_x.lora_up.weight", "unet.a.lora_A.weight",
        "unet.a.lora_B.default.weight", "a.to_q_lora.down.weight", "a.lora.up.weight",
        "x.to_q.lora_linear_layer.up.weight",
        // XLabs, torchtune and lit-gpt, mlx.
        "double_blocks.0.processor.qkv_lora2.down.weight",
        "double_blocks.0.processor.proj_lora1.up.weight", "layers.0.attn.q_proj.lora_a.weight",
        "transformer.h.0.attn.lora_B.weight", "layers.0.q_proj.lora_b",
        // By what trainers call the module: GLoRA, full differences.
        "lora_unet_x.a1.weight", "lycoris_x.b2.weight", "lora_te2_x.diff.weight",
        "x.lokr_w1_a.weight", "x.hada_w2_b", "x.vera_A.weight", "x.lora_embedding_A",
        "x.oft_blocks.weight", "x.lora_magnitude_vector.weight"}) {
    EXPECT_TRUE(is_adapter_factor(name)) << name;
  }
  for (const std::string_view name :
       {"input_blocks.1.weight", "flora.weight", "explora.down.weight", "x.flora1.down.weight",
        "loraine.weight", "model.lora_unet_x.weight", "a1.weight", "", ".", "x.softmax.weight"}) {
    EXPECT_FALSE(is_adapter_factor(name)) << name;
  }
}

TEST(AdapterFile, IsOneOfWhichEveryWeightIsAFactor) {
  EXPECT_TRUE(is_adapter_file(
      table_of({{"lora_controlnet", ElementType::kF16, {0}}, {"input_blocks.1.proj_in.weight"}})));
  EXPECT_TRUE(is_adapter_file(
      table_of({{"d.x.a1.weight"}, {"d.x.a2.weight"}, {"d.x.b1.weight"}, {"d.x.b2.weight"}})));
  // A module may be called so.
  EXPECT_FALSE(is_adapter_file(table_of({{"d.x.a1.weight"}, {"d.x.a2.weight"}})));
  EXPECT_FALSE(is_adapter_file(table_of({{"x.lora_A.weight"}})));
  EXPECT_FALSE(is_adapter_file(table_of({})));
}

}  // namespace
}  // namespace quarrow

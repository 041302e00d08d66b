// SPDX-License-Identifier: Apache-2.0
#include "quarrow/layouts/dialect.h"

#include <gtest/gtest.h>

#include <string>

#include "layouts/table_of.h"

namespace quarrow {
namespace {

using enum ElementType;

// One layer as a program stores it, and tensors that are none of its.
struct Case {
  std::string_view dialect;
  std::vector<NamedTensor> tensors;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"bitsandbytes",
       {{"m.l.weight", kU8, {32, 1}},
        {"m.l.weight.absmax", kF32, {1}},
        {"m.l.weight.quant_map", kF32, {16}},
        {"m.l.weight.nested_absmax", kF32, {1}},
        {"m.l.weight.nested_quant_map", kF32, {256}},
        {"m.l.weight.quant_state.bitsandbytes__nf4", kU8, {90}},
        {"m.l.bias"}}},
      {"bitsandbytes", {{"m.l.weight", kI8}, {"m.l.SCB", kF32, {8}}, {"m.l.weight_format", kU8}}},
      {"bitsandbytes", {{"m.experts.gate_up_proj", kU8}, {"m.experts.gate_up_proj.absmax", kF32}}},
      {"GPTQ",
       {{"m.l.qweight", kI32},
        {"m.l.qzeros", kI32},
        {"m.l.scales"},
        {"m.l.g_idx", kI32},
        {"m.l.bias"}}},
      {"GPTQ or AWQ", {{"m.l.qweight", kI32}, {"m.l.qzeros", kI32}, {"m.l.scales"}}},
      {"Nunchaku",
       {{"m.l.qweight", kI8}, {"m.l.wscales"}, {"m.l.smooth_factor"}, {"m.l.lora_down"}}},
      {"Marlin", {{"m.l.B", kI32}, {"m.l.s"}, {"m.l.workspace", kI32}}},
      {"EXL2", {{"m.l.q_weight", kI32}, {"m.l.q_scale_max"}}},
      {"EXL3", {{"m.l.trellis", kI16}, {"m.l.svh"}}},
      {"AQLM", {{"m.l.codes", kI8}, {"m.l.codebooks"}, {"m.l.scales"}}},
      {"VPTQ", {{"m.l.indices", kI32}, {"m.l.centroids.weight"}, {"m.l.weight_scale"}}},
      {"HQQ", {{"m.l.W_q", kU8}, {"m.l.scale"}, {"m.l.zero"}, {"m.l.shape", kI64, {2}}}},
      // Codes as a view in a float type.
      {"HQQ", {{"m.l.W_q", kBF16}, {"m.l.scale"}, {"m.l.zero"}}},
      {"ComfyUI",
       {{"m.l.weight", kF8E4M3}, {"m.l.weight_scale", kF32, {}}, {"m.l.comfy_quant", kU8, {9}}}},
      {"ComfyUI",
       {{"m.l.weight", kI8},
        {"m.l.weight_s_rel", kF8E4M3},
        {"m.l.weight_codebook", kF32, {16}},
        {"m.l.comfy_quant", kU8, {9}}}},
      {"ComfyUI's scaled FP8",
       {{"m.l.weight", kF8E4M3}, {"m.l.scale_weight", kF32, {1}}, {"m.l.scale_input", kF32, {1}}}},
      {"compressed-tensors",
       {{"m.l.weight_packed", kI32}, {"m.l.weight_scale"}, {"m.l.weight_shape", kI64, {2}}}},
      {"torchao", {{"m.l._weight_qdata", kI8}, {"m.l._weight_scale"}, {"m.l._weight_zero_point"}}},
      {"quanto", {{"m.l.weight._data", kI8}, {"m.l.weight._scale"}}},
      {"MLX", {{"m.l.weight", kU32}, {"m.l.scales"}, {"m.l.biases"}}},
      {"MXFP4",
       {{"m.experts.down_proj_blocks", kU8},
        {"m.experts.down_proj_scales", kU8},
        {"m.experts.down_proj_bias"}}},
      {"EETQ", {{"m.l.weight", kI8}, {"m.l.weight_scales"}}},
      {"SDNQ", {{"m.l.weight", kU8}, {"m.l.scale"}, {"m.l.zero_point"}, {"m.l.svd_up"}}},
      {"FP8 with scales", {{"m.l.weight", kF8E4M3}, {"m.l.weight_scale_inv", kF32}}},
      {"FP8 with scales",
       {{"m.experts.gate_up_proj", kF8E4M3, {2, 8, 8}},
        {"m.experts.gate_up_proj_scale_inv", kF32}}},
      {"FP8 with scales",
       {{"m.l.weight", kF8E5M2FNUZ},
        {"m.l.weight_scale", kF32, {}},
        {"m.l.input_scale", kF32, {}}}},
      {"int8 with scales", {{"m.l.weight", kI8}, {"m.l.weight_scale", kBF16, {8, 1}}}},
      {"packed weights with scales",
       {{"m.l.weight", kU8}, {"m.l.weight_scale", kF8E4M3}, {"m.l.weight_scale_2", kF32, {}}}},
      {"FP8 without scales", {{"m.l.weight", kF8E4M3}, {"m.l.bias"}}},
      {"FP8 without scales", {{"m.experts.gate_up_proj", kF8E5M2, {2, 8, 8}}}},
      {"weights of an integer type", {{"m.l.weight", kI8}, {"m.l.bias"}}},
  };
  return all;
}

TEST(Dialect, OfALayerHoldsForAllThatBelongsToIt) {
  for (const Case& each : cases()) {
    std::vector<NamedTensor> tensors = each.tensors;
    tensors.push_back({"m.other.weight"});
    tensors.push_back({"m.other.bias"});
    tensors.push_back({"m.norm.scale"});
    tensors.push_back({"weight"});
    const TensorTable table = table_of(tensors);
    const DialectLayers layers(table);
    for (const NamedTensor& tensor : each.tensors) {
      const Dialect* dialect = layers.of(*table.find(tensor.name));
      ASSERT_NE(dialect, nullptr) << each.dialect << ": " << tensor.name;
      EXPECT_EQ(dialect->name, each.dialect) << tensor.name;
    }
    for (const std::string_view name :
         {"m.other.weight", "m.other.bias", "m.norm.scale", "weight"}) {
      EXPECT_EQ(layers.of(*table.find(name)), nullptr) << each.dialect << ": " << name;
    }
    EXPECT_EQ(layers.layers().size(), 1U) << each.dialect;
  }
}

TEST(Dialect, LeavesFloatModelsAlone) {
  const TensorTable table = table_of({{"m.l.weight"},
                                      {"m.l.bias"},
                                      {"m.ids.weight", kI64},
                                      {"m.mask.weight", kBool},
                                      {"m.norm.scale"},
                                      {"m.norm.biases"},
                                      {"m.ssm.B"},
                                      {"m.ssm.s"},
                                      {"m.conv.codes"},
                                      {"m.attn.qweight"},
                                      {"m.attn.v_scale"},
                                      {"input_scale"},
                                      {"scaled_fp8"},
                                      {"absmax"}});
  const DialectLayers layers(table);
  EXPECT_TRUE(layers.layers().empty());
  for (const TensorEntry& tensor : table.entries()) {
    EXPECT_EQ(layers.of(tensor), nullptr) << tensor.name;
  }
}

TEST(Dialect, HoldsForScalesThatStandAboveTheLayers) {
  const TensorTable table = table_of({{"m.attn.q_proj.weight", kF8E4M3},
                                      {"m.attn.q_proj.weight_scale", kF32, {}},
                                      {"m.attn.k_scale", kF32, {}},
                                      {"m.attn.norm.weight"},
                                      {"scaled_fp8", kF8E4M3, {2}}});
  const DialectLayers layers(table);
  EXPECT_NE(layers.of(*table.find("m.attn.k_scale")), nullptr);
  EXPECT_NE(layers.of(*table.find("scaled_fp8")), nullptr);
  EXPECT_EQ(layers.of(*table.find("m.attn.norm.weight")), nullptr);
  EXPECT_EQ(layers.owner(*table.find("m.attn.k_scale")), nullptr);
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// Layers that are described, and found again, where there is no memory for it.
#include "containers/without_memory.h"

#include <gtest/gtest.h>

#include <memory_resource>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "quarrow/containers/checkpoint.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/layouts/layout.h"

namespace quarrow {
namespace {

constexpr std::array<std::uint64_t, 4> kShape = {9, 128, 2, 1};
// Longer than what a string holds without an allocation.
constexpr std::string_view kName = "model.layers.0.self_attn.q_proj.weight";

// What a scheme makes of a tensor.
struct Encoded {
  std::unique_ptr<std::pmr::monotonic_buffer_resource> memory =
      std::make_unique<std::pmr::monotonic_buffer_resource>();
  std::vector<EncodedEntry> entries;
  TensorTable::Metadata metadata;
};

Encoded encoded(std::string_view format_name, std::size_t dimensions) {
  const Format format = default_format(*find_format(format_name));
  const Scheme& scheme = *find_layout(format, Container::kSafetensors)->scheme;
  TensorEntry tensor;
  tensor.name = kName;
  tensor.shape = std::span(kShape).first(dimensions);
  tensor.dtype = ElementType::kF16;
  const LayerToEncode layer{&tensor, &format};
  Encoded result;
  result.entries = scheme.encode(layer, *result.memory);
  if (scheme.describe != nullptr) scheme.describe({&layer, 1}, *result.memory, result.metadata);
  return result;
}

// A file of these entries, of zeros where the data decides. Borrows from them.
Checkpoint file_of(const Encoded& layer) {
  static const std::string zeros(9 * 256, '\0');
  std::vector<TensorInMemory> tensors;
  for (const EncodedEntry& entry : layer.entries) {
    bool partial_byte = false;
    const std::string_view data =
        !entry.role ? entry.constant
                    : std::string_view(zeros).substr(
                          0, *tensor_bytes(entry.dtype, entry.shape, partial_byte));
    tensors.push_back({entry.name, entry.dtype, entry.shape, std::as_bytes(std::span(data))});
  }
  return checkpoint_in_memory(tensors, layer.metadata);
}

TEST(WithoutMemory, ALayerIsDescribedOrNot) {
  const Encoded expected = encoded("int4", 4);
  ASSERT_EQ(expected.metadata.size(), 2U);
  const int thrown =
      without_memory([] { return encoded("int4", 4); },
                     [&](const Encoded& again) {
                       ASSERT_EQ(again.entries.size(), expected.entries.size());
                       for (std::size_t index = 0; index < again.entries.size(); ++index) {
                         EXPECT_EQ(again.entries[index].name, expected.entries[index].name);
                       }
                       EXPECT_EQ(again.metadata, expected.metadata);
                     });
  EXPECT_GT(thrown, 20);
}

TEST(WithoutMemory, ALayerIsFoundAgainOrNot) {
  struct Case {
    std::string_view format;
    std::size_t dimensions;
  };
  for (const Case& each : {Case{"int4", 4}, Case{"int8_rowwise", 2}}) {
    SCOPED_TRACE(each.format);
    const Encoded layer = encoded(each.format, each.dimensions);
    const Checkpoint file = file_of(layer);
    const int thrown = without_memory([&] { return find_stored_layers(file); },
                                      [&](const StoredLayers& found) {
                                        ASSERT_EQ(found.layers().size(), 1U);
                                        EXPECT_EQ(found.layers()[0].name, kName);
                                        EXPECT_EQ(found.layers()[0].dtype, ElementType::kF16);
                                        EXPECT_EQ(found.layers()[0].shape.size(), each.dimensions);
                                        EXPECT_EQ(found.layers()[0].format.spec->name, each.format);
                                      });
    EXPECT_GT(thrown, 10);
  }
}

TEST(WithoutMemory, WhatIsWrongWithADescriptionIsToldOrNot) {
  Encoded layer = encoded("int4", 4);
  for (const std::string_view config :
       {R"({"quant_method":"compressed-tensors","format":"pack-quantized","config_groups":[]})",
        R"({"quant_method":"compressed-tensors","format":"pack-quantized","config_groups":{)",
        R"({"quant_method":"compressed-tensors","format":"pack-quantized","config_groups":)"
        R"({"a group with a name":{"targets":["a target with a name"],"weights":"none"}}})"}) {
    SCOPED_TRACE(config);
    layer.metadata[0].second = config;
    const Checkpoint file = file_of(layer);
    const auto broken_rule = [&] {
      try {
        find_stored_layers(file);
      } catch (const CheckpointFault& fault) {
        return fault.rule;
      }
      throw std::runtime_error("the description was accepted");
    };
    EXPECT_GT(without_memory(broken_rule,
                             [](FileRule rule) { EXPECT_EQ(rule, FileRule::kLayerDescription); }),
              5);
  }
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "quarrow/layouts/layout.h"

namespace quarrow {
namespace {

using Shape = std::vector<std::uint64_t>;

class CompressedTensors : public ::testing::Test {
 protected:
  const TensorEntry& add(std::string_view name, ElementType dtype, const Shape& shape) {
    bool partial_byte = false;
    TensorEntry entry{table_.keep(name), table_.keep(shape), dtype, 0, end_, 0};
    end_ += *tensor_bytes(dtype, entry.shape, partial_byte);
    entry.end = end_;
    table_.add(entry);
    table_.seal();
    return *table_.find(name);
  }
  StayReason reason_of(std::string_view name, ElementType dtype, const Shape& shape) {
    const TensorEntry& tensor = add(name, dtype, shape);
    return layout_->scheme->stay_reason(tensor, {table_, tensor.name, nullptr}, format_);
  }
  static Shape shape_of(const EncodedEntry& entry) {
    return {entry.shape.begin(), entry.shape.end()};
  }

  const Layout* layout_ =
      find_layout(default_format(*find_format("int4")), Container::kSafetensors);
  Format format_ = default_format(*find_format("int4"));
  TensorTable table_;
  std::uint64_t end_ = 0;
  std::pmr::monotonic_buffer_resource memory_;
};

TEST_F(CompressedTensors, TakesMatricesAndConvolutions) {
  EXPECT_EQ(reason_of("l.weight", ElementType::kF16, {9, 256}), StayReason::kNone);
  EXPECT_EQ(reason_of("conv.weight", ElementType::kBF16, {12, 128, 3, 3}), StayReason::kNone);
}

TEST_F(CompressedTensors, LeavesWhatItCannotSay) {
  EXPECT_EQ(reason_of("a.weight", ElementType::kF16, {9, 200}), StayReason::kShortGroup);
  EXPECT_EQ(reason_of("b.weight", ElementType::kF16, {256}), StayReason::kNotMatrix);
  EXPECT_EQ(reason_of("b", ElementType::kF16, {9, 256}), StayReason::kNotWeight);
  EXPECT_EQ(reason_of("c.weight", ElementType::kI8, {9, 256}), StayReason::kNotFloat);
  EXPECT_EQ(reason_of("d.weight", ElementType::kF16, {0, 256}), StayReason::kEmpty);
  EXPECT_EQ(reason_of("few.weight", ElementType::kF16, {8, 256}), StayReason::kFewRows);
  format_.group_size = GroupSize::tensor();
  EXPECT_EQ(reason_of("e.weight", ElementType::kF16, {9, 256}), StayReason::kTensorScale);
}

TEST_F(CompressedTensors, NeverMakesTwoEntriesOfOneName) {
  for (const std::string_view suffix : {"packed", "scale", "zero_point", "shape"}) {
    const std::string layer(suffix);
    add(layer + ".weight_" + layer, ElementType::kU8, {1});
    EXPECT_EQ(reason_of(layer + ".weight", ElementType::kF16, {9, 256}), StayReason::kNameTaken);
  }
}

TEST_F(CompressedTensors, WritesFourEntriesALayer) {
  format_.scale_dtype = DType::kBF16;
  format_.group_size = GroupSize::of(9);
  const TensorEntry& tensor = add("conv.weight", ElementType::kF16, {5, 7, 3, 3});
  const auto entries = layout_->scheme->encode({&tensor, &format_}, memory_);
  ASSERT_EQ(entries.size(), 4U);
  EXPECT_EQ(entries[0].name, "conv.weight_packed");
  EXPECT_EQ(entries[0].dtype, ElementType::kI32);
  EXPECT_EQ(shape_of(entries[0]), (Shape{5, 8}));
  EXPECT_EQ(entries[1].name, "conv.weight_scale");
  EXPECT_EQ(entries[1].dtype, ElementType::kBF16);
  EXPECT_EQ(shape_of(entries[1]), (Shape{5, 7}));
  EXPECT_EQ(entries[2].name, "conv.weight_zero_point");
  EXPECT_EQ(entries[2].dtype, ElementType::kI32);
  EXPECT_EQ(shape_of(entries[2]), (Shape{1, 7}));
  EXPECT_EQ(entries[3].name, "conv.weight_shape");
  EXPECT_EQ(entries[3].dtype, ElementType::kI64);
  EXPECT_EQ(shape_of(entries[3]), (Shape{2}));
  EXPECT_EQ(entries[3].constant, std::string("\5\0\0\0\0\0\0\0\77\0\0\0\0\0\0\0", 16));
  format_.symmetric = true;
  EXPECT_EQ(layout_->scheme->encode({&tensor, &format_}, memory_).size(), 3U);
}

TEST_F(CompressedTensors, DescribesTheGroupsOfFormatsAndWhatWasBefore) {
  add("a.weight", ElementType::kF16, {2, 128});
  add("b.weight", ElementType::kF64, {2, 32, 2, 2});
  add("c.weight", ElementType::kF16, {2, 128});
  Format rows = default_format(*find_format("int8"));
  rows.symmetric = true;
  const std::vector<LayerToEncode> layers = {
      {&table_[0], &format_}, {&table_[1], &rows}, {&table_[2], &format_}};
  TensorTable::Metadata metadata;
  layout_->scheme->describe(layers, memory_, metadata);
  ASSERT_EQ(metadata.size(), 2U);
  EXPECT_EQ(metadata[0].first, "quantization_config");
  EXPECT_EQ(nlohmann::json::parse(metadata[0].second.text()), nlohmann::json::parse(R"({
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "quantization_status": "compressed",
    "ignore": [],
    "config_groups": {
      "group_0": {"targets": ["a", "c"],
                  "weights": {"num_bits": 4, "type": "int", "symmetric": false, "dynamic": false,
                              "strategy": "group", "group_size": 128}},
      "group_1": {"targets": ["b"],
                  "weights": {"num_bits": 8, "type": "int", "symmetric": true, "dynamic": false,
                              "strategy": "channel"}}}})"));
  EXPECT_EQ(metadata[1].first, "quarrow.layers");
  EXPECT_EQ(nlohmann::json::parse(metadata[1].second.text()), nlohmann::json::parse(R"({
    "a.weight": {"dtype": "F16"},
    "b.weight": {"dtype": "F64", "shape": [2, 32, 2, 2]},
    "c.weight": {"dtype": "F16"}})"));
}

}  // namespace
}  // namespace quarrow

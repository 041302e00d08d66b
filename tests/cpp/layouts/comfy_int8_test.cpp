// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "quarrow/layouts/layout.h"

namespace quarrow {
namespace {

class ComfyInt8 : public ::testing::Test {
 protected:
  void add(std::string_view name, ElementType dtype, std::vector<std::uint64_t> shape) {
    bool partial_byte = false;
    TensorEntry entry{table_.keep(name), table_.keep(shape), dtype, 0, end_, 0};
    end_ += *tensor_bytes(dtype, entry.shape, partial_byte);
    entry.end = end_;
    table_.add(entry);
  }
  StayReason reason(std::string_view name) {
    table_.seal();
    return layout_->scheme->stay_reason(*table_.find(name), table_, format_);
  }
  StayReason reason_of(std::string_view name, ElementType dtype, std::vector<std::uint64_t> shape) {
    add(name, dtype, std::move(shape));
    return reason(name);
  }

  const Layout* layout_ = find_layout("int8_rowwise", Container::kSafetensors);
  const Format format_ = default_format(*find_format("int8_rowwise"));
  TensorTable table_;
  std::uint64_t end_ = 0;
  std::pmr::monotonic_buffer_resource memory_;
};

TEST_F(ComfyInt8, TakesMatricesOfEveryFloatType) {
  for (const ElementType dtype :
       {ElementType::kF16, ElementType::kBF16, ElementType::kF32, ElementType::kF64}) {
    EXPECT_EQ(reason_of(std::string(name_of(dtype)) + ".weight", dtype, {2, 3}), StayReason::kNone);
  }
}

TEST_F(ComfyInt8, LeavesWhatComfyUiDoesNotLoadQuantized) {
  EXPECT_EQ(reason_of("conv.weight", ElementType::kF16, {2, 3, 3, 3}), StayReason::kConvolution);
  EXPECT_EQ(reason_of("conv1x1.weight", ElementType::kF16, {2, 3, 1, 1}), StayReason::kConvolution);
  EXPECT_EQ(reason_of("norm.weight", ElementType::kF16, {3}), StayReason::kNotMatrix);
  EXPECT_EQ(reason_of("l.bias", ElementType::kF16, {3}), StayReason::kNotMatrix);
  EXPECT_EQ(reason_of("l.alpha", ElementType::kF16, {}), StayReason::kNotMatrix);
  EXPECT_EQ(reason_of("table", ElementType::kF32, {3, 4}), StayReason::kNotWeight);
  EXPECT_EQ(reason_of("weight", ElementType::kF32, {3, 4}), StayReason::kNotWeight);
  EXPECT_EQ(reason_of("ids.weight", ElementType::kI64, {3, 4}), StayReason::kNotFloat);
  EXPECT_EQ(reason_of("fp8.weight", ElementType::kF8E4M3, {3, 4}), StayReason::kNarrowFloat);
  EXPECT_EQ(reason_of("fp4.weight", ElementType::kF4, {3, 4}), StayReason::kNarrowFloat);
  EXPECT_EQ(reason_of("empty.weight", ElementType::kF32, {0, 4}), StayReason::kEmpty);
}

TEST_F(ComfyInt8, NeverMakesTwoEntriesOfOneName) {
  add("a.weight_scale", ElementType::kF32, {});
  EXPECT_EQ(reason_of("a.weight", ElementType::kF32, {3, 4}), StayReason::kNameTaken);
  add("b.comfy_quant", ElementType::kU8, {1});
  EXPECT_EQ(reason_of("b.weight", ElementType::kF32, {3, 4}), StayReason::kNameTaken);
}

TEST_F(ComfyInt8, WritesTheEntriesThatComfyUiReads) {
  add("blocks.0.weight", ElementType::kF16, {5, 7});
  table_.seal();
  const auto entries = layout_->scheme->encode({&table_[0], &format_}, memory_);
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].name, "blocks.0.weight");
  EXPECT_EQ(entries[0].dtype, ElementType::kI8);
  EXPECT_EQ(entries[0].role, Role::kCodes);
  EXPECT_EQ(std::vector<std::uint64_t>(entries[0].shape.begin(), entries[0].shape.end()),
            (std::vector<std::uint64_t>{5, 7}));
  EXPECT_EQ(entries[1].name, "blocks.0.weight_scale");
  EXPECT_EQ(entries[1].dtype, ElementType::kF32);
  EXPECT_EQ(entries[1].role, Role::kScales);
  EXPECT_EQ(std::vector<std::uint64_t>(entries[1].shape.begin(), entries[1].shape.end()),
            (std::vector<std::uint64_t>{5, 1}));
  EXPECT_EQ(entries[2].name, "blocks.0.comfy_quant");
  EXPECT_EQ(entries[2].dtype, ElementType::kU8);
  EXPECT_EQ(entries[2].role, std::nullopt);
  ASSERT_EQ(entries[2].shape.size(), 1U);
  EXPECT_EQ(entries[2].shape[0], entries[2].constant.size());
  EXPECT_EQ(entries[2].constant,
            R"({"format": "int8_tensorwise", "orig_dtype": "torch.float16", "per_row": true})");
}

TEST_F(ComfyInt8, DescriptionIsJsonWithTheSourcesDType) {
  const std::vector<std::pair<ElementType, std::string>> dtypes = {
      {ElementType::kF16, "torch.float16"},
      {ElementType::kBF16, "torch.bfloat16"},
      {ElementType::kF32, "torch.float32"},
      {ElementType::kF64, "torch.float64"}};
  for (const auto& [dtype, torch_name] : dtypes) {
    const std::array<std::uint64_t, 2> shape = {2, 2};
    const TensorEntry tensor{"l.weight", shape, dtype, 0, 0};
    const auto entries = layout_->scheme->encode({&tensor, &format_}, memory_);
    const auto json = nlohmann::json::parse(entries[2].constant);
    EXPECT_EQ(json,
              (nlohmann::json{
                  {"format", "int8_tensorwise"}, {"orig_dtype", torch_name}, {"per_row", true}}));
  }
}

TEST(Layouts, AreFoundByFormatAndContainer) {
  for (const Layout& layout : layouts()) {
    EXPECT_EQ(find_layout(layout.format, layout.container), &layout);
  }
  EXPECT_EQ(find_layout("int5", Container::kSafetensors), nullptr);
}

}  // namespace
}  // namespace quarrow

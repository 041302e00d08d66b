// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "quarrow/layouts/layout.h"

namespace quarrow {
namespace {

class ComfyScheme : public ::testing::Test {
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
    return layout_->scheme->stay_reason(*table_.find(name), {table_, name, nullptr}, format_);
  }
  StayReason reason_of(std::string_view name, ElementType dtype, std::vector<std::uint64_t> shape) {
    add(name, dtype, std::move(shape));
    return reason(name);
  }

  const Format format_ = default_format(*find_format("int8_rowwise"));
  const Layout* layout_ = find_layout(format_, Container::kSafetensors);
  TensorTable table_;
  std::uint64_t end_ = 0;
  std::pmr::monotonic_buffer_resource memory_;
};

TEST_F(ComfyScheme, TakesMatricesOfEveryFloatType) {
  for (const ElementType dtype :
       {ElementType::kF16, ElementType::kBF16, ElementType::kF32, ElementType::kF64}) {
    EXPECT_EQ(reason_of(std::string(name_of(dtype)) + ".weight", dtype, {2, 3}), StayReason::kNone);
  }
}

TEST_F(ComfyScheme, LeavesWhatComfyUiDoesNotLoadQuantized) {
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

TEST_F(ComfyScheme, NeverMakesTwoEntriesOfOneName) {
  add("a.weight_scale", ElementType::kF32, {});
  EXPECT_EQ(reason_of("a.weight", ElementType::kF32, {3, 4}), StayReason::kNameTaken);
  add("b.comfy_quant", ElementType::kU8, {1});
  EXPECT_EQ(reason_of("b.weight", ElementType::kF32, {3, 4}), StayReason::kNameTaken);
}

TEST_F(ComfyScheme, WritesTheEntriesThatComfyUiReads) {
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

TEST_F(ComfyScheme, DescriptionIsJsonWithTheSourcesDType) {
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

TEST_F(ComfyScheme, WritesFloatsWithOneScaleWithoutDimensions) {
  Format format = default_format(*find_format("fp8_e4m3"));
  const Layout* scaled = find_layout(format, Container::kSafetensors);
  const std::array<std::uint64_t, 2> shape = {5, 7};
  const TensorEntry tensor{"l.weight", shape, ElementType::kBF16, 0, 0, 70};
  const auto entries = scaled->scheme->encode({&tensor, &format}, memory_);
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].dtype, ElementType::kF8E4M3);
  EXPECT_EQ(entries[1].name, "l.weight_scale");
  EXPECT_EQ(entries[1].role, Role::kTensorScale);
  EXPECT_TRUE(entries[1].shape.empty());
  EXPECT_EQ(entries[2].constant, R"({"format": "float8_e4m3fn", "orig_dtype": "torch.bfloat16"})");

  format.scaled = false;
  const Layout* cast = find_layout(format, Container::kSafetensors);
  const auto alone = cast->scheme->encode({&tensor, &format}, memory_);
  ASSERT_EQ(alone.size(), 1U);
  EXPECT_EQ(alone[0].name, "l.weight");
  EXPECT_EQ(alone[0].dtype, ElementType::kF8E4M3);
  EXPECT_EQ(cast->scheme->stay_reason(tensor, {table_, tensor.name, nullptr}, format),
            StayReason::kNone);
}

TEST(Layouts, AreFoundByFormatAndContainer) {
  for (const Layout& layout : layouts()) {
    Format format = default_format(*find_format(layout.format));
    if (layout.takes != nullptr && !layout.takes(format)) format.scaled = false;
    EXPECT_EQ(find_layout(format, layout.container), &layout);
  }
}

}  // namespace
}  // namespace quarrow

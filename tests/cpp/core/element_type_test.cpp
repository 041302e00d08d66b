// SPDX-License-Identifier: Apache-2.0
#include "quarrow/core/element_type.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace quarrow {
namespace {

TEST(ElementType, IsFoundByItsNameAndByItsNumberInGgml) {
  std::set<std::string_view> names;
  for (std::uint32_t index = 0; index < kElementTypes; ++index) {
    const auto type = static_cast<ElementType>(index);
    EXPECT_TRUE(names.insert(name_of(type)).second) << name_of(type);
    EXPECT_EQ(element_type_from_name(name_of(type)), type);
    const auto number = ggml_type(type);
    EXPECT_TRUE(number.has_value() || is_in_safetensors(type)) << name_of(type);
    if (!number) continue;
    EXPECT_EQ(element_type_from_ggml(*number), type);
  }
  EXPECT_EQ(element_type_from_name("Q9_0"), std::nullopt);
  EXPECT_EQ(element_type_from_ggml(4), std::nullopt);
}

TEST(ElementType, OfABlockIsNoFloatAndSharesItsBytes) {
  for (const ElementType type : {ElementType::kQ40, ElementType::kQ4K, ElementType::kIQ1M}) {
    EXPECT_TRUE(is_ggml_block(type));
    EXPECT_FALSE(is_in_safetensors(type));
    EXPECT_FALSE(is_narrow_float(type));
    EXPECT_FALSE(float_dtype(type));
    EXPECT_EQ(alignment_of(type), 1U);
  }
  EXPECT_FALSE(is_ggml_block(ElementType::kF32));
  EXPECT_FALSE(is_ggml_block(ElementType::kF4));
}

}  // namespace
}  // namespace quarrow

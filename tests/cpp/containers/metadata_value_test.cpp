// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/metadata_value.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "containers/gguf_bytes.h"

namespace quarrow {
namespace {

template <typename Number>
std::string words(ValueType type, Number number) {
  return words_of({type, number_bytes(number)});
}

TEST(MetadataValue, OfATextIsWhatItIsMadeOf) {
  const std::string text = "a text";
  const MetadataValue value = text;
  EXPECT_TRUE(value.is_text());
  EXPECT_EQ(value.text(), text);
  EXPECT_EQ(value, MetadataValue("a text"));
  EXPECT_EQ(MetadataValue(), MetadataValue(""));
  EXPECT_EQ(value.as_integer(), 0U);
  EXPECT_EQ(value.as_float(), 0.0);
}

TEST(MetadataValue, IsOfItsTypeAlone) {
  const std::string one(1, '\1');
  EXPECT_NE(MetadataValue(ValueType::kU8, one), MetadataValue(ValueType::kBool, one));
  EXPECT_NE(MetadataValue(ValueType::kU8, one), MetadataValue(one));
  EXPECT_EQ(MetadataValue(ValueType::kU8, one).text(), "");
}

TEST(MetadataValue, InWordsIsWhatItIs) {
  EXPECT_EQ(words(ValueType::kI8, std::int8_t{-128}), "-128");
  EXPECT_EQ(words(ValueType::kU16, std::uint16_t{65535}), "65535");
  EXPECT_EQ(words(ValueType::kI64, std::numeric_limits<std::int64_t>::min()),
            "-9223372036854775808");
  EXPECT_EQ(words(ValueType::kF32, 0.1F), "0.1");
  EXPECT_EQ(words(ValueType::kF64, 0.1), "0.1");
  EXPECT_EQ(words(ValueType::kF64, 1e300), "1e+300");
  EXPECT_EQ(words(ValueType::kF32, std::numeric_limits<float>::quiet_NaN()), "NaN");
  EXPECT_EQ(words(ValueType::kF32, -std::numeric_limits<float>::infinity()), "-Infinity");
  EXPECT_EQ(words(ValueType::kBool, std::uint8_t{0}), "false");
  EXPECT_EQ(words_of("\xe2\x82\xac\xff"), "\xe2\x82\xac\\xff");
}

TEST(MetadataValue, OfAListHasItsItems) {
  const std::string list = number_bytes<std::uint32_t>(8) + number_bytes<std::uint64_t>(3) +
                           gguf_text("a \"b\"") + gguf_text("") + gguf_text("\xff");
  const MetadataValue value(ValueType::kList, list);
  std::vector<std::string> items;
  value.for_each_item([&](const MetadataValue& item) { items.emplace_back(item.text()); });
  EXPECT_EQ(items, (std::vector<std::string>{"a \"b\"", "", "\xff"}));
  EXPECT_EQ(words_of(value), R"(["a \"b\"", "", "\\xff"])");
  MetadataValue("[1]").for_each_item([](const MetadataValue&) { FAIL() << "a text has none"; });
}

}  // namespace
}  // namespace quarrow

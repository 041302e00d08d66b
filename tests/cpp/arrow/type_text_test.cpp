// SPDX-License-Identifier: Apache-2.0
//
// Every type of the specification has a name that says what it is, never its format.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "arrow_tree.h"
#include "quarrow/arrow/layer_table.h"

namespace quarrow {
namespace {

std::string text_of(const TestArray& type) { return arrow_type_text(ArrowTree(type).schema()); }
std::string text_of(const char* format) { return text_of(TestArray{.format = format}); }

TEST(TypeText, OfEveryTypeWithoutChildren) {
  const std::vector<std::pair<const char*, const char*>> expected{
      {"n", "null"},
      {"b", "bool"},
      {"c", "int8"},
      {"C", "uint8"},
      {"s", "int16"},
      {"S", "uint16"},
      {"i", "int32"},
      {"I", "uint32"},
      {"l", "int64"},
      {"L", "uint64"},
      {"e", "float16"},
      {"f", "float32"},
      {"g", "float64"},
      {"z", "binary"},
      {"Z", "large_binary"},
      {"vz", "binary_view"},
      {"u", "string"},
      {"U", "large_string"},
      {"vu", "string_view"},
      {"d:19,10", "decimal128(19, 10)"},
      {"d:9,-2,32", "decimal32(9, -2)"},
      {"d:50,3,256", "decimal256(50, 3)"},
      {"w:42", "fixed_size_binary[42]"},
      {"tdD", "date32"},
      {"tdm", "date64"},
      {"tts", "time32[s]"},
      {"ttm", "time32[ms]"},
      {"ttu", "time64[us]"},
      {"ttn", "time64[ns]"},
      {"tss:", "timestamp[s]"},
      {"tsm:", "timestamp[ms]"},
      {"tsu:UTC", "timestamp[us, tz=UTC]"},
      {"tsn:Europe/Paris", "timestamp[ns, tz=Europe/Paris]"},
      {"tDs", "duration[s]"},
      {"tDm", "duration[ms]"},
      {"tDu", "duration[us]"},
      {"tDn", "duration[ns]"},
      {"tiM", "month_interval"},
      {"tiD", "day_time_interval"},
      {"tin", "month_day_nano_interval"},
  };
  for (const auto& [format, text] : expected) EXPECT_EQ(text_of(format), text);
}

TEST(TypeText, OfEveryTypeWithChildren) {
  const TestArray number{.format = "l"};
  const TestArray text{.format = "u"};
  const std::vector<std::pair<const char*, const char*>> of_one{
      {"+l", "list<int64>"},
      {"+L", "large_list<int64>"},
      {"+vl", "list_view<int64>"},
      {"+vL", "large_list_view<int64>"},
      {"+w:3", "fixed_size_list<int64, 3>"},
      {"+s", "struct<int64>"},
  };
  for (const auto& [format, expected] : of_one) {
    EXPECT_EQ(text_of({.format = format, .children = {number}}), expected);
  }
  EXPECT_EQ(text_of({.format = "+r", .children = {{.format = "i"}, text}}),
            "run_end_encoded<int32, string>");
  EXPECT_EQ(text_of({.format = "+ud:0,5", .children = {number, text}}),
            "dense_union<int64, string>");
  EXPECT_EQ(text_of({.format = "+us:0,5", .children = {number, text}}),
            "sparse_union<int64, string>");
  EXPECT_EQ(text_of({.format = "+m", .children = {{.format = "+s", .children = {text, number}}}}),
            "map<struct<string, int64>>");
}

TEST(TypeText, OfWhatTheSpecificationDoesNotHave) {
  for (const char* format : {"", "x", "+", "+x", "+x:3", "tz", "tsx:UTC", "tss", "\xff\xfe", ":"}) {
    EXPECT_EQ(text_of(format), "unknown");
  }
  EXPECT_EQ(text_of("d:x,10"), "decimal");
  EXPECT_EQ(text_of("d:19"), "decimal");
  EXPECT_EQ(text_of("d:1,2,3,4"), "decimal");
  EXPECT_EQ(text_of("w:"), "fixed_size_binary");
  EXPECT_EQ(text_of({.format = "+w:x", .children = {{.format = "l"}}}), "fixed_size_list<int64>");
}

}  // namespace
}  // namespace quarrow

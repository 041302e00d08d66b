// SPDX-License-Identifier: Apache-2.0
#include "core/utf8.h"

#include <gtest/gtest.h>

namespace quarrow {
namespace {

TEST(Utf8, IsWhatUnicodeCallsSo) {
  for (const std::string_view text :
       {std::string_view(), std::string_view("\0", 1), std::string_view("plain\x7f"),
        std::string_view("\xc2\x80\xdf\xbf"), std::string_view("\xe0\xa0\x80\xed\x9f\xbf"),
        std::string_view("\xee\x80\x80\xef\xbf\xbf"),
        std::string_view("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
  for (const char* text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xe2\x82",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xff", "\xe2\x82\x41", "\xf0\x90\x80"}) {
    EXPECT_FALSE(is_utf8(text)) << text;
  }
}

TEST(Utf8, EndsWhereTheFirstWrongByteIs) {
  EXPECT_EQ(utf8_prefix("a\xe2\x82\xac\xff more"), 4U);
  EXPECT_EQ(utf8_prefix("\xe2\x82"), 0U);
}

TEST(Utf8, EscapesTheBytesThatAreNone) {
  EXPECT_EQ(escaped_utf8("a\xff\xe2\x82\xac\xe2\x82"), "a\\xff\xe2\x82\xac\\xe2\\x82");
  EXPECT_EQ(escaped_utf8(""), "");
}

}  // namespace
}  // namespace quarrow

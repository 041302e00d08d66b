// SPDX-License-Identifier: Apache-2.0
#include "core/json_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace quarrow {
namespace {

TEST(JsonText, IsWhatTheLibraryWritesForEveryCharacter) {
  for (int letter = 0; letter < 128; ++letter) {
    const std::string text = std::string("a.") + static_cast<char>(letter) + "b";
    EXPECT_EQ(json_text(text), nlohmann::json(text).dump()) << letter;
  }
}

TEST(JsonText, OfOtherTextsToo) {
  for (const std::string text : {"", "double_blocks.0.img_attn.qkv.weight",
                                 "gr\xc3\xb6\xc3\x9f"
                                 "e",
                                 "\xe6\xa8\xa1\xe5\x9e\x8b"}) {
    EXPECT_EQ(json_text(text), nlohmann::json(text).dump());
    EXPECT_EQ(nlohmann::json::parse(json_text(text)).get<std::string>(), text);
  }
}

}  // namespace
}  // namespace quarrow

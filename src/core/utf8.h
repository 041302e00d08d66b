// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace quarrow {

// How many of the first bytes are whole characters of UTF-8, as Unicode defines it: no overlong
// forms, no halves of surrogate pairs, nothing beyond U+10FFFF. All of them, where the text is
// UTF-8.
std::size_t utf8_prefix(std::string_view text) noexcept;

inline bool is_utf8(std::string_view text) noexcept { return utf8_prefix(text) == text.size(); }

// The text with each byte that is part of no character as \xff.
std::string escaped_utf8(std::string_view text);

}  // namespace quarrow

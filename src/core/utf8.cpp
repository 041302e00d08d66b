// SPDX-License-Identifier: Apache-2.0
#include "core/utf8.h"

namespace quarrow {
namespace {

// Bytes of the character that a text starts with; 0 when it starts with none.
std::size_t character_bytes(std::string_view text) noexcept {
  const auto at = [text](std::size_t index) { return static_cast<unsigned char>(text[index]); };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  const std::size_t bytes = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return 0;
  for (std::size_t index = 1; index < bytes; ++index) {
    if ((at(index) & 0xc0U) != 0x80) return 0;
  }
  // The second byte tells overlong forms, surrogates and what lies beyond Unicode.
  const unsigned second = at(1);
  const bool is_wrong = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
                        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
  return is_wrong ? 0 : bytes;
}

}  // namespace

std::size_t utf8_prefix(std::string_view text) noexcept {
  std::size_t done = 0;
  while (done < text.size()) {
    const std::size_t bytes = character_bytes(text.substr(done));
    if (bytes == 0) break;
    done += bytes;
  }
  return done;
}

std::string escaped_utf8(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string escaped;
  while (!text.empty()) {
    const std::size_t whole = utf8_prefix(text);
    escaped.append(text, 0, whole);
    text.remove_prefix(whole);
    if (text.empty()) break;
    const auto byte = static_cast<unsigned char>(text.front());
    escaped.append("\\x").append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15U]);
    text.remove_prefix(1);
  }
  return escaped;
}

}  // namespace quarrow

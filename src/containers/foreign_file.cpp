// SPDX-License-Identifier: Apache-2.0
#include "containers/foreign_file.h"

namespace quarrow {

std::optional<FileRule> foreign_file(std::string_view first_bytes,
                                     std::uint64_t file_bytes) noexcept {
  if (file_bytes == 0) return FileRule::kEmptyFile;
  if (first_bytes.starts_with("version https://git-lfs")) return FileRule::kLfsPointer;
  if (first_bytes.starts_with("GGUF")) return FileRule::kGguf;
  if (first_bytes.starts_with("PK\x03\x04")) return FileRule::kZip;
  if (first_bytes.size() >= 2 && first_bytes[0] == '\x80' && first_bytes[1] >= 2 &&
      first_bytes[1] <= 5) {
    return FileRule::kPickle;
  }
  if (first_bytes.find_first_not_of('\0') == std::string_view::npos) return FileRule::kZeros;
  const std::size_t text = first_bytes.find_first_not_of(" \t\r\n");
  if (text == std::string_view::npos) return std::nullopt;
  if (first_bytes[text] == '<') return FileRule::kHtml;
  if (first_bytes[text] == '{' || first_bytes[text] == '[') return FileRule::kJson;
  return std::nullopt;
}

}  // namespace quarrow

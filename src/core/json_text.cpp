// SPDX-License-Identifier: Apache-2.0
#include "core/json_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace quarrow {

bool is_plain_json(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char letter) {
    return letter >= ' ' && letter <= '~' && letter != '"' && letter != '\\';
  });
}

std::string json_text(std::string_view text) {
  // So are nearly all names of tensors; the library takes a hundred times as long.
  if (!is_plain_json(text)) return nlohmann::json(text).dump();
  std::string quoted;
  quoted.reserve(text.size() + 2);
  return quoted.append(1, '"').append(text).append(1, '"');
}

}  // namespace quarrow

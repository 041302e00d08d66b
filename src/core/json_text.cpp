// SPDX-License-Identifier: Apache-2.0
#include "core/json_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace quarrow {

std::string json_text(std::string_view text) {
  // So are nearly all names of tensors; the library takes a hundred times as long.
  const auto is_plain = [](char letter) {
    return letter >= ' ' && letter <= '~' && letter != '"' && letter != '\\';
  };
  if (!std::ranges::all_of(text, is_plain)) return nlohmann::json(text).dump();
  std::string quoted;
  quoted.reserve(text.size() + 2);
  return quoted.append(1, '"').append(text).append(1, '"');
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace quarrow {

// Whether the text stands in quotes as it is.
bool is_plain_json(std::string_view text) noexcept;

// The text as a JSON string, in quotes. It is UTF-8.
std::string json_text(std::string_view text);

}  // namespace quarrow

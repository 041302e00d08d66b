// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace quarrow {

// The text as a JSON string, in quotes. It is UTF-8.
std::string json_text(std::string_view text);

}  // namespace quarrow

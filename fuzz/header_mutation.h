// SPDX-License-Identifier: Apache-2.0
//
// Changes to a safetensors header that leave it one: random bytes rarely agree with each other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace quarrow::fuzz {

struct MutatedHeader {
  std::string json;
  std::uint64_t data_bytes = 0;  // that the offsets call for
};

// Changes the dtype, the shape or the name of one tensor, or nothing, as `seed` says, and gives
// every tensor the offsets of its shape. Nothing when the header is no JSON object, or its data
// would be longer than `most_data_bytes`.
std::optional<MutatedHeader> mutate_header(std::string_view header, std::uint64_t most_data_bytes,
                                           unsigned seed);

}  // namespace quarrow::fuzz

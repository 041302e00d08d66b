// SPDX-License-Identifier: Apache-2.0
//
// What a header may have at most, of any container, so that reading one takes memory in proportion
// to its bytes, and not many of them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quarrow {

// The same limit as the safetensors library's.
inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
// Dimensions of all tensors of a file together, so that a header cannot grow in memory.
inline constexpr std::size_t kMaxHeaderDimensions = std::size_t{1} << 22;
// Keys of the metadata and of unknown fields together, for the same reason: a pair of empty strings
// takes 6 bytes of a header and 8 times as many in memory.
inline constexpr std::size_t kMaxHeaderKeys = std::size_t{1} << 20;

}  // namespace quarrow

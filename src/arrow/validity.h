// SPDX-License-Identifier: Apache-2.0
//
// Validity bitmaps: bit i, least significant first, is 0 where value i is null.
#pragma once

#include <cstdint>
#include <optional>

#include "quarrow/arrow/c_data.h"

namespace quarrow {

// Whether the value is null; `index` includes the array's offset.
bool is_null(const ArrowArray& array, std::int64_t index) noexcept;

// The first null of array values [begin, begin + count), which include its offset; counted from
// `begin`.
std::optional<std::int64_t> first_null(const ArrowArray& array, std::int64_t begin,
                                       std::int64_t count) noexcept;

}  // namespace quarrow

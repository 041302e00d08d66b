// SPDX-License-Identifier: Apache-2.0
//
// Whether Arrow data have the parts that their type has. What was moved out of them is not there.
#pragma once

#include <cstdint>

#include "quarrow/arrow/c_data.h"

namespace quarrow {

// The schema and all below it have a format and their children.
bool is_whole(const ArrowSchema* schema) noexcept;

struct ArrowParts {
  std::int64_t buffers = 0;  // at least so many; the second one holds something for every value
  std::int64_t children = 0;
};

// The array has its parts and no negative size. Its children are not looked at.
bool is_whole(const ArrowArray* array, const ArrowParts& parts) noexcept;

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// Whether Arrow data have the parts that their type has. What was moved out of them is not there.
#pragma once

#include <cstdint>
#include <optional>

#include "quarrow/arrow/arrow_fault.h"
#include "quarrow/arrow/c_data.h"

namespace quarrow {

// kMissingParts where the schema or something below it has no format or lacks children; kTooDeep
// beyond kMaxSchemaDepth or kMaxSchemaFields, so that one that contains itself has an end.
std::optional<ArrowRule> fault_of(const ArrowSchema& schema) noexcept;

struct ArrowParts {
  std::int64_t buffers = 0;  // at least so many; the second one holds something for every value
  std::int64_t children = 0;
};

// The array has its parts, no negative size, and none beyond all memory. Its children are not
// looked at.
bool is_whole(const ArrowArray* array, const ArrowParts& parts) noexcept;

}  // namespace quarrow

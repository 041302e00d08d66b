// SPDX-License-Identifier: Apache-2.0
//
// Run-end encoding: run i holds the values from the end of run i - 1 up to its own end. Ends are
// counted from the start of the whole, not of a slice; they must increase.
#pragma once

#include <cstdint>
#include <optional>

#include "quarrow/arrow/c_data.h"

namespace quarrow {

// The run that holds value `index`; nothing where the runs end before. `ends`: an array of integers
// of one of the formats "s", "i" and "l". Of ends that do not increase it is any run.
std::optional<std::int64_t> run_of(const ArrowArray& ends, char format, std::int64_t index);

// Whether runs whose ends increase hold the values [begin, end). Those of other values are not
// looked at.
bool runs_cover(const ArrowArray& ends, char format, std::int64_t begin, std::int64_t end);

}  // namespace quarrow

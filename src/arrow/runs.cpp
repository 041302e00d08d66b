// SPDX-License-Identifier: Apache-2.0
#include "arrow/runs.h"

#include "arrow/values.h"

namespace quarrow {
namespace {

std::int64_t end_of(const ArrowArray& ends, char format, std::int64_t run) {
  return integer_at(ends, format, ends.offset + run).value_or(0);
}

}  // namespace

std::optional<std::int64_t> run_of(const ArrowArray& ends, char format, std::int64_t index) {
  std::int64_t low = 0;
  std::int64_t high = ends.length;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (end_of(ends, format, middle) > index) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  if (low == ends.length) return std::nullopt;
  return low;
}

bool runs_cover(const ArrowArray& ends, char format, std::int64_t begin, std::int64_t end) {
  if (begin >= end) return true;
  const auto first = run_of(ends, format, begin);
  const auto last = run_of(ends, format, end - 1);
  if (!first || !last || *last < *first) return false;
  // Ends that increase from at least 1 on leave run i with an end beyond i.
  std::int64_t before = *first == 0 ? 0 : end_of(ends, format, *first - 1);
  if (before < *first) return false;
  for (std::int64_t run = *first; run <= *last; ++run) {
    const std::int64_t next = end_of(ends, format, run);
    if (next <= before) return false;
    before = next;
  }
  return true;
}

}  // namespace quarrow

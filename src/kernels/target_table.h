// SPDX-License-Identifier: Apache-2.0
//
// Picks the entry of a HWY_EXPORT table by our own Target. Highway's own dispatch goes through a
// state that all users of its shared library in the process have in common, so it is not used.
#pragma once

#include <hwy/targets.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "quarrow/core/target.h"

namespace quarrow {

// The index that a target of HWY_TARGETS (one bit) has in the tables of HWY_EXPORT: entry 0 is
// Highway's own, then the targets of this architecture, best first, then the scalar one.
constexpr std::uint8_t table_index(std::int64_t highway_target) {
  if (highway_target == HWY_EMU128 || highway_target == HWY_SCALAR) {
    return HWY_MAX_DYNAMIC_TARGETS + 1;
  }
  std::uint8_t bit = 0;
  while ((highway_target >> bit) != 1) ++bit;
  return static_cast<std::uint8_t>(bit - (HWY_HIGHEST_TARGET_BIT - HWY_MAX_DYNAMIC_TARGETS));
}

// Where one target alone is compiled in, HWY_EXPORT makes a table of one entry.
template <typename Function, std::size_t kEntries>
constexpr Function table_entry(Function const (&table)[kEntries], Target target) noexcept {
  return table[kEntries == 1 ? 0 : target.index];
}

}  // namespace quarrow

// For use after HWY_EXPORT(function), as HWY_DYNAMIC_DISPATCH(function) would be.
#define QUARROW_TABLE_ENTRY(function, target) \
  ::quarrow::table_entry(HWY_DISPATCH_TABLE(function), target)

// Inside HWY_NAMESPACE (N_AVX2, N_EMU128, ...): the name of the target that is being compiled.
#define QUARROW_COMPILED_TARGET ::std::string_view(HWY_STR(HWY_NAMESPACE)).substr(2)

// SPDX-License-Identifier: Apache-2.0
//
// The instruction sets that the kernels were compiled for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace quarrow {

// One of Highway's targets, by Highway's own name: EMU128, SSSE3, SSE4, AVX2, AVX3, NEON...
// The value is the target's index in every kernel table (src/kernels/target_table.h). A Target that
// names none, as one is made, stands for default_target() in a Context.
struct Target {
  std::uint8_t index = 0;
  friend bool operator==(Target, Target) = default;
};

std::string_view name_of(Target target) noexcept;

// The targets compiled in that this CPU can run, best first; EMU128 (the scalar one) or the
// baseline is always the last.
std::span<const Target> runnable_targets() noexcept;

// Whether it is one of them.
bool is_runnable(Target target) noexcept;

// The runnable target of that name, where AVX3 may be spelt AVX-512; nothing when the name is
// unknown or the CPU lacks it.
std::optional<Target> target_from_name(std::string_view name) noexcept;

// The target that this process uses: the best, or what QUARROW_FORCE_ISA names. Nothing when that
// variable names a target that cannot run here (the caller reports it; see forced_target_name).
std::optional<Target> default_target() noexcept;

// The value of QUARROW_FORCE_ISA, empty when unset.
std::string_view forced_target_name() noexcept;

}  // namespace quarrow

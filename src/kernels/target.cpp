// SPDX-License-Identifier: Apache-2.0
#include "quarrow/core/target.h"

#include <array>
#include <bit>
#include <cstdlib>

#include "kernels/target_table.h"

namespace quarrow {
namespace {

constexpr std::size_t kCompiledCount = std::popcount(static_cast<std::uint64_t>(HWY_TARGETS));

// In Highway's bit order, which puts the best first and the scalar target last.
constexpr std::array<std::int64_t, kCompiledCount> compiled_targets() {
  std::array<std::int64_t, kCompiledCount> targets{};
  std::int64_t rest = HWY_TARGETS;
  for (std::int64_t& target : targets) {
    target = rest & -rest;
    rest &= rest - 1;
  }
  return targets;
}

constexpr std::array<std::int64_t, kCompiledCount> kCompiled = compiled_targets();

class RunnableTargets {
 public:
  RunnableTargets() noexcept {
    const std::int64_t supported = hwy::SupportedTargets() | HWY_STATIC_TARGET;
    for (const std::int64_t target : kCompiled) {
      if ((target & supported) == 0) continue;
      targets_[count_++] = {table_index(target)};
      indices_ |= std::uint64_t{1} << table_index(target);
    }
  }
  std::span<const Target> span() const noexcept { return {targets_.data(), count_}; }
  bool has(Target target) const noexcept {
    return target.index < kMost && (indices_ >> target.index & 1) != 0;
  }

 private:
  static constexpr unsigned kMost = 64;
  static_assert(HWY_MAX_DYNAMIC_TARGETS + 2 <= kMost);

  std::array<Target, kCompiledCount> targets_{};
  std::size_t count_ = 0;
  std::uint64_t indices_ = 0;  // a bit for each
};

const RunnableTargets& runnable() noexcept {
  static const RunnableTargets targets;
  return targets;
}

// Whether it is a target of Highway's AVX3 by the name that everybody else has for that.
bool is_other_spelling(std::string_view name, std::string_view of_highway) noexcept {
  constexpr std::string_view kOurs = "AVX3";
  if (!of_highway.starts_with(kOurs)) return false;
  for (const std::string_view usual : {"AVX-512", "AVX512"}) {
    if (name.starts_with(usual)) {
      return name.substr(usual.size()) == of_highway.substr(kOurs.size());
    }
  }
  return false;
}

}  // namespace

std::string_view name_of(Target target) noexcept {
  // Every call of every entry point asks.
  static const auto names = [] {
    std::array<std::string_view, HWY_MAX_DYNAMIC_TARGETS + 2> result{};
    for (const std::int64_t compiled : kCompiled) {
      result[table_index(compiled)] = hwy::TargetName(compiled);
    }
    return result;
  }();
  return target.index < names.size() ? names[target.index] : std::string_view();
}

std::span<const Target> runnable_targets() noexcept { return runnable().span(); }

bool is_runnable(Target target) noexcept { return runnable().has(target); }

std::optional<Target> target_from_name(std::string_view name) noexcept {
  for (const Target target : runnable_targets()) {
    if (name_of(target) == name || is_other_spelling(name, name_of(target))) return target;
  }
  return std::nullopt;
}

std::optional<Target> default_target() noexcept {
  const std::string_view forced = forced_target_name();
  return forced.empty() ? runnable_targets().front() : target_from_name(forced);
}

std::string_view forced_target_name() noexcept {
  const char* value = std::getenv("QUARROW_FORCE_ISA");
  return value == nullptr ? std::string_view{} : std::string_view{value};
}

}  // namespace quarrow

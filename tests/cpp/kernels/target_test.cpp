// SPDX-License-Identifier: Apache-2.0
#include "quarrow/core/target.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "kernels/affine.h"
#include "kernels/int8_rowwise.h"

namespace quarrow {
namespace {

// Sets QUARROW_FORCE_ISA for the length of a test.
class ForcedTarget {
 public:
  explicit ForcedTarget(const std::string& name) {
    const char* before = std::getenv("QUARROW_FORCE_ISA");
    if (before != nullptr) before_ = before;
    was_set_ = before != nullptr;
    setenv("QUARROW_FORCE_ISA", name.c_str(), 1);
  }
  ~ForcedTarget() {
    if (was_set_) {
      setenv("QUARROW_FORCE_ISA", before_.c_str(), 1);
    } else {
      unsetenv("QUARROW_FORCE_ISA");
    }
  }
  ForcedTarget(const ForcedTarget&) = delete;
  ForcedTarget& operator=(const ForcedTarget&) = delete;

 private:
  std::string before_;
  bool was_set_ = false;
};

TEST(Target, EveryTableHoldsTheTargetThatItsIndexNames) {
  ASSERT_FALSE(runnable_targets().empty());
  for (const Target target : runnable_targets()) {
    const std::string_view name = name_of(target);
    ASSERT_FALSE(name.empty());
    EXPECT_EQ(shared_kernels(target).target_name, name);
    EXPECT_EQ(affine_kernels(target).target_name, name);
    EXPECT_EQ(int8_rowwise_kernels(target).target_name, name);
  }
}

TEST(Target, NamesFindTheirTargets) {
  for (const Target target : runnable_targets()) {
    EXPECT_EQ(target_from_name(name_of(target)), target);
  }
  EXPECT_EQ(target_from_name(""), std::nullopt);
  EXPECT_EQ(target_from_name("ABACUS"), std::nullopt);
  EXPECT_EQ(target_from_name("avx2"), std::nullopt);
}

TEST(Target, Avx512HasItsUsualNameToo) {
  EXPECT_EQ(target_from_name("AVX-512"), target_from_name("AVX3"));
  EXPECT_EQ(target_from_name("AVX512"), target_from_name("AVX3"));
  EXPECT_EQ(target_from_name("AVX-512_ZEN4"), target_from_name("AVX3_ZEN4"));
  EXPECT_EQ(target_from_name("AVX-5123"), std::nullopt);
  EXPECT_EQ(target_from_name("AVX-512F"), std::nullopt);
}

TEST(Target, TheBestComesFirstAndTheBaselineLast) {
  const auto targets = runnable_targets();
  const auto by_index = [](Target a, Target b) { return a.index < b.index; };
  EXPECT_TRUE(std::is_sorted(targets.begin(), targets.end(), by_index));
#if defined(__x86_64__)
  EXPECT_EQ(name_of(targets.back()), "EMU128");
#elif defined(__aarch64__)
  EXPECT_EQ(name_of(targets.back()), "NEON");
#endif
}

TEST(Target, TheBestIsTheDefault) {
  const ForcedTarget nothing("");
  EXPECT_EQ(default_target(), runnable_targets().front());
}

TEST(Target, TheEnvironmentForcesATarget) {
  for (const Target target : runnable_targets()) {
    const ForcedTarget forced{std::string(name_of(target))};
    EXPECT_EQ(forced_target_name(), name_of(target));
    EXPECT_EQ(default_target(), target);
  }
}

TEST(Target, AForcedTargetThatCannotRunIsNoTarget) {
  const ForcedTarget forced("ABACUS");
  EXPECT_EQ(forced_target_name(), "ABACUS");
  EXPECT_EQ(default_target(), std::nullopt);
}

}  // namespace
}  // namespace quarrow

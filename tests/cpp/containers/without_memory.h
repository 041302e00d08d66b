// SPDX-License-Identifier: Apache-2.0
//
// Calls that find no memory, at each of their allocations in turn.
#pragma once

#include <gtest/gtest.h>

#include <cerrno>
#include <new>
#include <optional>

#include "containers/failing_calls.h"

namespace quarrow {

// Calls `job` with its first allocation failing, then with its second, and so on until none does.
// Each time it throws std::bad_alloc or returns what `check` is content with, and so does a call
// right after that. Returns how often it threw.
template <typename Job, typename Check>
int without_memory(Job job, Check check) {
  int thrown = 0;
  bool failed = true;
  for (int nth = 1; failed; ++nth) {
    SCOPED_TRACE("allocation " + std::to_string(nth));
    std::optional<decltype(job())> result;
    {
      const FailingCalls failing(Call::kAllocation, ENOMEM, nth);
      try {
        result.emplace(job());
      } catch (const std::bad_alloc&) {
        ++thrown;
      }
      failed = failing.failed();
    }
    if (result) check(*result);
    EXPECT_TRUE(result || failed) << "no allocation failed";
    check(job());
  }
  return thrown;
}

}  // namespace quarrow

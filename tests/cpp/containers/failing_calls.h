// SPDX-License-Identifier: Apache-2.0
//
// System calls and allocations of this program that fail on demand.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace quarrow {

enum class Call : std::uint8_t {
  kOpenUnnamed,  // open() with O_TMPFILE
  kOpen,         // any other open()
  kFlock,
  kLink,
  kRename,
  kUnlink,
  kSync,
  kClose,
  kEntropy,
  kStatus,     // stat(), lstat(), fstat()
  kRead,       // pread()
  kWrite,      // pwrite()
  kCopyRange,  // copy_file_range()
  kAllocate,   // fallocate()
  kFlush,      // sync_file_range()
  kAllocation,
};

// In place of an error: the process ends there.
inline constexpr int kKilled = -1;
// In place of an error: the call answers 0 and does nothing.
inline constexpr int kNothingDone = -2;

// As long as it lives, the `nth` call of a kind fails with `error` (errno); with nth == 0 every
// one, with nth < 0 that one and all after it. One at a time for each kind.
class FailingCalls {
 public:
  FailingCalls(Call call, int error, int nth = 0) noexcept;
  ~FailingCalls();
  FailingCalls(const FailingCalls&) = delete;
  FailingCalls& operator=(const FailingCalls&) = delete;

  // How many there were, those that failed included.
  int calls() const noexcept;
  bool failed() const noexcept;

 private:
  Call call_;
};

// As long as it lives, `action` runs before the `nth` call of a kind, which does not fail.
class BeforeCall {
 public:
  BeforeCall(Call call, int nth, std::function<void()> action);
  ~BeforeCall();
  BeforeCall(const BeforeCall&) = delete;
  BeforeCall& operator=(const BeforeCall&) = delete;

 private:
  Call call_;
};

// The mode that the last open() of a new file asked for.
mode_t last_mode_of_a_new_file() noexcept;

// The inodes that fsync() was asked for since this was asked before, in order.
std::vector<ino_t> take_synced();

// The descriptors that this process has open.
int open_descriptors();

}  // namespace quarrow

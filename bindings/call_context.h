// SPDX-License-Identifier: Apache-2.0
//
// How a call from Python runs in the core: threads, target, the lock, and Ctrl-C.
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "errors.h"
#include "interpreter_lock.h"
#include "quarrow/core/context.h"
#include "quarrow/core/fork_watch.h"

namespace quarrow::python {

// A call with fewer bytes of input is small. It keeps the lock: the job takes less than taking the
// lock back can, since other threads may then hold it for a whole switch interval (5 ms). And it is
// counted, but neither timed in its parts nor logged, which would cost it more than it does.
inline constexpr std::uint64_t kSmallCallBytes = 64 * 1024;

// The value of a threads= argument: a positive int; None means QUARROW_NUM_THREADS, or else the
// CPUs that this process may use. Raises InvalidInputError for anything else, an unusable
// QUARROW_NUM_THREADS included.
std::size_t threads_argument(nanobind::handle threads);

// The name of a layer as UTF-8, borrowed from the str; empty for None. Raises InvalidInputError.
std::string_view name_argument(nanobind::handle name);

// The target of this process. Raises InvalidInputError when QUARROW_FORCE_ISA names one that cannot
// run here.
Target target_in_use();

// The executor of this process: the default, or what QUARROW_EXECUTOR names ("pool", "plain").
// Raises InvalidInputError when there is none of that name.
Executor& executor_in_use();

// Looks for signals, with the lock held, within an UnlockedScope. A handler that raises
// (KeyboardInterrupt) stops the job; its exception stays set in the calling thread, for
// raise_status(kCancelled). Then asks `next`, still with the lock, which may be null.
class SignalPoll final : public Poll {
 public:
  explicit SignalPoll(Poll* next = nullptr) noexcept : next_(next) {}
  bool keep_going() noexcept override;

 private:
  Poll* next_;
};

using Clock = std::chrono::steady_clock;

inline double seconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

// The Context of one call, and the lock while it runs. Make one on the stack:
//   CoreCall call(threads, plan.input_bytes);
//   const Status status = call.run([&](const Context& context) { return quantize(...); });
class CoreCall {
 public:
  // `bytes` of input decide whether the lock is released, and polls are made: those of signals, and
  // `poll`, which may be null.
  CoreCall(nanobind::handle threads, std::uint64_t bytes, Poll* poll = nullptr);
  CoreCall(const CoreCall&) = delete;
  CoreCall& operator=(const CoreCall&) = delete;

  // Raises QuarrowError in a child that was forked meanwhile, unless there is an exception already.
  template <typename Job>
  auto run(Job&& job) {
    const ForkWatch fork;
    auto result = [&] {
      std::optional<UnlockedScope> unlocked;
      if (release_lock_) {
        unlocked.emplace();
      }
      return job(context_);
    }();
    if (fork.in_child() && PyErr_Occurred() == nullptr) {
      raise_forked();
    }
    return result;
  }

  const Context& context() const noexcept { return context_; }

 private:
  SignalPoll poll_;
  bool release_lock_;
  Context context_;
};

}  // namespace quarrow::python

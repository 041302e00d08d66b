// SPDX-License-Identifier: Apache-2.0
//
// Runs the tiles of a job on several threads.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>

namespace quarrow {

// A borrowed callable, for the duration of one call: a pointer pair instead of an allocation.
template <typename Signature>
class FunctionRef;

template <typename Result, typename... Args>
class FunctionRef<Result(Args...)> {
 public:
  template <typename Callable>
    requires(!std::is_same_v<std::remove_cvref_t<Callable>, FunctionRef> &&
             std::is_invocable_r_v<Result, Callable&, Args...>)
  // NOLINTNEXTLINE(google-explicit-constructor, bugprone-forwarding-reference-overload)
  FunctionRef(Callable&& callable) noexcept
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, Args... args) -> Result {
          return (*static_cast<std::add_pointer_t<Callable>>(object))(args...);
        }) {}

  Result operator()(Args... args) const { return call_(object_, args...); }

 private:
  void* object_;
  Result (*call_)(void*, Args...);
};

// Called on the calling thread only, between tiles. Returns false to stop the job.
class Poll {
 public:
  virtual ~Poll() = default;
  virtual bool keep_going() noexcept = 0;
};

// What every executor promises:
// - body(index, worker) is called once for each index in 0..count-1, lowest first, by at most
//   `threads` threads; worker is 0..threads-1, and two calls with one worker never overlap.
// - The calling thread works too (as worker 0), and polls between its own tiles, at most every
//   50 ms.
// - Each call runs with round-to-nearest and without flush-to-zero, whatever mode the caller set;
//   the caller's mode is back when run() returns.
// - A thread that cannot be started is one fewer, down to the calling thread alone.
// - In a child process made by fork() all tiles run on the calling thread. A job that was running
//   when its poll forked is stopped in the child: the tiles of its workers are lost there.
// - body does not throw.
// Returns false when poll stopped the job: tiles that had begun are finished, the rest never run.
class Executor {
 public:
  using Body = FunctionRef<void(std::size_t index, std::size_t worker)>;

  virtual ~Executor() = default;
  virtual std::string_view name() const noexcept = 0;
  virtual bool run(std::size_t count, std::size_t threads, Body body, Poll* poll) = 0;
};

// Threads that are started once and wait for the next job ("pool"). `threads` beyond the CPUs of
// this process are not started. Those that have fallen asleep are woken only for jobs that would
// take the calling thread longer than they need to come, so that none is slower for them.
Executor& default_executor();

// Threads that are started and joined in each call ("plain"): what the other one is compared with.
Executor& plain_executor();

// The executor of that name; null when there is none.
Executor* executor_from_name(std::string_view name) noexcept;

// The CPUs that this process may use: its affinity mask and cgroup CPU quota, at least 1.
std::size_t available_cpus();

}  // namespace quarrow

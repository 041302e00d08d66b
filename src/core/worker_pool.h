// SPDX-License-Identifier: Apache-2.0
//
// The worker threads of the process, which stay between jobs.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "core/tile_loop.h"

namespace quarrow {

// Starts threads as jobs ask for them, and keeps them. A thread that cannot be started is one
// fewer: whoever runs a job works too, so that each job ends. Nothing here allocates but the start
// of a thread. Never destroyed, since its threads run until the process ends.
//
// A thread stays awake for a while after a job, and comes to the next one at once. To wake one that
// sleeps takes longer than a small job does, so that the caller does it only where it would be at
// work alone for longer still: with the rest of a large job, or with jobs that follow each other.
class WorkerPool {
 public:
  using Clock = std::chrono::steady_clock;
  using Now = Clock::time_point (*)() noexcept;

  // How long a thread stays awake, and how far jobs may be apart to follow each other.
  static constexpr std::chrono::microseconds kAwake{100};

  // Work for one thread that is worth waking another. Where the other core was busy, the system
  // call took the caller 17 us (35 if it had computed, not slept), and the worker came to its first
  // tile 40 us later: two threads took as long as one for a job of 100 us. Where it was idle, they
  // took 136 us for one of 126. A third more than that, since tiles tell only about how long the
  // rest takes.
  static constexpr std::chrono::microseconds kWorthWaking{200};

  // What the workers share of one job; lies on the stack of the thread that runs it.
  struct Job {
    TileLoop& loop;
    std::size_t wanted;  // workers
    std::size_t taken = 0;
    bool follows_many = false;  // jobs, for as long as is worth waking workers
    bool wakes = false;         // workers that sleep
    std::atomic<std::size_t> running = 0;
    bool caller_sleeps = false;
    Job* next = nullptr;
  };

  // At most this many threads, all jobs together.
  explicit WorkerPool(std::size_t most, Now now = &Clock::now) noexcept : most_(most), now_(now) {}
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Runs all tiles on the calling thread and up to `wanted` workers.
  void run(TileLoop& loop, std::size_t wanted) noexcept;

  // The steps of run(). Up to `job.wanted` workers may join the job from now on: those that are
  // awake, who may be fewer where it returns false.
  bool offer(Job& job) noexcept;
  // Runs tiles on the calling thread until it pays to wake workers for the rest. False when it did
  // not until none was left.
  bool lead_until_waking_pays(Job& job) noexcept;
  // Those that sleep come too, and new ones.
  void wake_for(Job& job) noexcept;
  // Lets no more of them join, and waits for those that have.
  void withdraw(Job& job) noexcept;

  // The workers that an offer does not reach.
  std::size_t asleep() noexcept;

 private:
  void wake_some() noexcept;
  void start_threads(std::size_t count) noexcept;
  void serve() noexcept;
  Job* take() noexcept;
  void unlink(Job& job) noexcept;
  // `seen`: the offers that there were when no job had room.
  void wait_for_offer(std::uint64_t seen) noexcept;

  const std::size_t most_;
  const Now now_;
  std::mutex mutex_;  // guards all below but what is atomic
  std::condition_variable offered_;
  std::condition_variable left_;
  Job* first_ = nullptr;
  Job* last_ = nullptr;
  std::size_t open_ = 0;  // workers that may still join a job
  std::size_t started_ = 0;
  std::size_t busy_ = 0;
  std::size_t asleep_ = 0;
  Clock::time_point stretch_began_ = {};  // of jobs that follow each other
  Clock::time_point last_ended_ = {};     // of all jobs
  std::atomic<std::uint64_t> offers_ = 0;
};

}  // namespace quarrow

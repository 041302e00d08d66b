// SPDX-License-Identifier: Apache-2.0
//
// The worker threads of the process, which stay between jobs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "core/tile_loop.h"

namespace quarrow {

// Starts threads as jobs ask for them, and keeps them. A thread that cannot be started is one
// fewer: whoever runs a job works too, so that each job ends. Nothing here allocates but the start
// of a thread. Never destroyed, since its threads run until the process ends.
class WorkerPool {
 public:
  // What the workers share of one job; lies on the stack of the thread that runs it.
  struct Job {
    TileLoop& loop;
    std::size_t wanted;  // workers
    std::size_t taken = 0;
    std::atomic<std::size_t> running = 0;
    bool caller_sleeps = false;
    Job* next = nullptr;
  };

  // At most this many threads, all jobs together.
  explicit WorkerPool(std::size_t most) noexcept : most_(most) {}
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Lets up to `job.wanted` workers join the job from now on.
  void offer(Job& job) noexcept;
  // Lets no more of them join, and waits for those that have.
  void withdraw(Job& job) noexcept;

 private:
  void start_threads(std::size_t count) noexcept;
  void serve() noexcept;
  Job* take() noexcept;
  void unlink(Job& job) noexcept;
  // `seen`: the offers that there were when no job had room.
  void wait_for_offer(std::uint64_t seen) noexcept;

  const std::size_t most_;
  std::mutex mutex_;  // guards all below but what is atomic
  std::condition_variable offered_;
  std::condition_variable left_;
  Job* first_ = nullptr;
  Job* last_ = nullptr;
  std::size_t open_ = 0;  // workers that may still join a job
  std::size_t started_ = 0;
  std::size_t busy_ = 0;
  std::size_t asleep_ = 0;
  std::atomic<std::uint64_t> offers_ = 0;
};

}  // namespace quarrow

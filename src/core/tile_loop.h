// SPDX-License-Identifier: Apache-2.0
//
// The loop that the threads of a job share, whatever starts them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "quarrow/core/executor.h"
#include "quarrow/core/fork_watch.h"

namespace quarrow {

// Hands out the indices of one job, lowest first.
class TileLoop {
 public:
  TileLoop(std::size_t count, Executor::Body body, Poll* poll) noexcept
      : count_(count), body_(body), poll_(poll) {
    // A small job, which nobody polls, would notice what asking for the time takes.
    if (poll != nullptr) last_poll_ = std::chrono::steady_clock::now();
  }

  static constexpr std::size_t kAll = SIZE_MAX;

  // Runs tiles until none is left.
  void work(std::size_t worker) noexcept;
  // The same on the calling thread, worker 0, which polls too. True when there were `most` tiles.
  bool lead(std::size_t most = kAll) noexcept;

  // Tiles that nobody has taken yet.
  std::size_t left() const noexcept;

  bool completed() const noexcept { return !stopped_.load(std::memory_order_relaxed); }

  // True in a child that was forked while the job ran, by its poll: its workers are the parent's.
  bool left_behind() const noexcept { return fork_.in_child(); }

 private:
  bool run_one(std::size_t worker) noexcept;
  void poll_if_due() noexcept;

  std::size_t count_;
  Executor::Body body_;
  Poll* poll_;
  std::chrono::steady_clock::time_point last_poll_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> stopped_{false};
  ForkWatch fork_;
};

// The threads worth using: no more than there are tiles, one in a forked child, at least one.
std::size_t useful_threads(std::size_t count, std::size_t threads) noexcept;

}  // namespace quarrow

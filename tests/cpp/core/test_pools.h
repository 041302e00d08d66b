// SPDX-License-Identifier: Apache-2.0
//
// Pools of their own for tests, and the steps of their jobs.
#pragma once

#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

#include "core/tile_loop.h"
#include "core/worker_pool.h"

namespace quarrow {

// Its threads never end, so that nothing of it may.
inline WorkerPool& new_pool(std::size_t most,
                            WorkerPool::Now now = &std::chrono::steady_clock::now) {
  static auto& pools = *new std::vector<WorkerPool*>;
  return *pools.emplace_back(new WorkerPool(most, now));
}

// Runs a job for which workers are woken, whatever it is worth.
inline void run_awake(WorkerPool& pool, TileLoop& loop, std::size_t wanted) {
  WorkerPool::Job job{.loop = loop, .wanted = wanted};
  pool.offer(job);
  pool.wake_for(job);
  loop.lead();
  pool.withdraw(job);
}

// True once `condition` is, false when that takes so long that nobody can be coming.
template <typename Condition>
bool comes_true(Condition condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include <string_view>

#include "core/never_destroyed.h"
#include "core/tile_loop.h"
#include "core/worker_pool.h"
#include "quarrow/core/executor.h"

namespace quarrow {
namespace {

// `threads` beyond the CPUs help nobody.
WorkerPool& pool() {
  static const NeverDestroyed<WorkerPool> workers(available_cpus() - 1);
  return *workers;
}

class PoolExecutor final : public Executor {
 public:
  std::string_view name() const noexcept override { return "pool"; }

  bool run(std::size_t count, std::size_t threads, Body body, Poll* poll) override {
    TileLoop loop(count, body, poll);
    const std::size_t useful = useful_threads(count, threads);
    if (useful == 1) {
      loop.lead();
      return loop.completed();
    }
    pool().run(loop, useful - 1);
    return loop.completed();
  }
};

}  // namespace

Executor& default_executor() {
  static const NeverDestroyed<PoolExecutor> executor;
  return *executor;
}

}  // namespace quarrow

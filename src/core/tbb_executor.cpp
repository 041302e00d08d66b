// SPDX-License-Identifier: Apache-2.0
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <string_view>

#include "core/tile_loop.h"
#include "quarrow/core/executor.h"

namespace quarrow {
namespace {

class TbbExecutor final : public Executor {
 public:
  std::string_view name() const noexcept override { return "onetbb"; }

  bool run(std::size_t count, std::size_t threads, Body body, Poll* poll) override {
    TileLoop loop(count, body, poll);
    const std::size_t useful = useful_threads(count, threads);
    if (useful == 1) {
      loop.lead();
      return loop.completed();
    }
    // In the arena that the calling thread has already: workers that have just left it come back
    // within a microsecond, to a new one in tens of them. Isolated, so that waiting here never runs
    // a task of the caller's own.
    tbb::this_task_arena::isolate([&loop, useful] {
      tbb::task_group workers;
      for (std::size_t worker = 1; worker < useful; ++worker) {
        workers.run([&loop, worker] { loop.work(worker); });
      }
      loop.lead();
      workers.wait();
    });
    return loop.completed();
  }
};

}  // namespace

Executor& default_executor() {
  static TbbExecutor executor;
  return executor;
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <algorithm>
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
    // Asked for more, oneTBB prints a warning.
    const std::size_t limit =
        tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
    const std::size_t useful = useful_threads(count, std::min(threads, limit));
    if (useful == 1) {
      loop.lead();
      return loop.completed();
    }
    tbb::task_arena arena(static_cast<int>(useful));
    arena.execute([&loop, useful] {
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

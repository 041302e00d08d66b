// SPDX-License-Identifier: Apache-2.0
#include <string_view>
#include <thread>
#include <vector>

#include "core/tile_loop.h"
#include "quarrow/core/executor.h"

namespace quarrow {
namespace {

class PlainExecutor final : public Executor {
 public:
  std::string_view name() const noexcept override { return "plain"; }

  bool run(std::size_t count, std::size_t threads, Body body, Poll* poll) override {
    TileLoop loop(count, body, poll);
    std::vector<std::jthread> workers;
    for (std::size_t worker = 1; worker < useful_threads(count, threads); ++worker) {
      workers.emplace_back([&loop, worker] { loop.work(worker); });
    }
    loop.lead();
    workers.clear();
    return loop.completed();
  }
};

}  // namespace

Executor& plain_executor() {
  static PlainExecutor executor;
  return executor;
}

#ifndef QUARROW_WITH_TBB
Executor& default_executor() { return plain_executor(); }
#endif

Executor* executor_from_name(std::string_view name) noexcept {
  for (Executor* executor : {&default_executor(), &plain_executor()}) {
    if (executor->name() == name) return executor;
  }
  return nullptr;
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <string_view>
#include <thread>
#include <vector>

#include "core/never_destroyed.h"
#include "core/tile_loop.h"
#include "quarrow/core/executor.h"

namespace quarrow {
namespace {

// As many of `count` workers as there is memory for, and as the system lets start.
std::vector<std::jthread> start_workers(TileLoop& loop, std::size_t count) noexcept {
  std::vector<std::jthread> workers;
  try {
    workers.reserve(count);
    for (std::size_t worker = 1; worker <= count; ++worker) {
      workers.emplace_back([&loop, worker] { loop.work(worker); });
    }
  } catch (const std::exception&) {
    // Those that run, and the calling thread, do it all.
  }
  return workers;
}

class PlainExecutor final : public Executor {
 public:
  std::string_view name() const noexcept override { return "plain"; }

  bool run(std::size_t count, std::size_t threads, Body body, Poll* poll) override {
    TileLoop loop(count, body, poll);
    std::vector<std::jthread> workers = start_workers(loop, useful_threads(count, threads) - 1);
    loop.lead();
    // In a child there is nobody to join, and a thread that was not joined must not be destroyed.
    if (loop.left_behind()) new std::vector<std::jthread>(std::move(workers));
    workers.clear();
    return loop.completed();
  }
};

}  // namespace

Executor& plain_executor() {
  static const NeverDestroyed<PlainExecutor> executor;
  return *executor;
}

Executor* executor_from_name(std::string_view name) noexcept {
  for (Executor* executor : {&default_executor(), &plain_executor()}) {
    if (executor->name() == name) return executor;
  }
  return nullptr;
}

}  // namespace quarrow

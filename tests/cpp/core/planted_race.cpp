// SPDX-License-Identifier: Apache-2.0
//
// A race on purpose: ThreadSanitizer must report it, or its silence about the rest says nothing.
#include <atomic>
#include <bit>
#include <cstdio>
#include <thread>

#include "quarrow/core/executor.h"

int main() {
  int unguarded = 0;
  std::atomic<unsigned> workers = 0;
  const auto race = [&](std::size_t, std::size_t worker) {
    // One thread alone might be done before another has started. Relaxed: this must order nothing.
    workers.fetch_or(1U << worker, std::memory_order_relaxed);
    while (std::popcount(workers.load(std::memory_order_relaxed)) < 2) std::this_thread::yield();
    ++unguarded;
  };
  quarrow::plain_executor().run(10'000, 4, race, nullptr);
  std::printf("%d\n", unguarded);
}

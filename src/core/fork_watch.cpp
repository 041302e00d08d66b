// SPDX-License-Identifier: Apache-2.0
#include "quarrow/core/fork_watch.h"

#include <pthread.h>

#include <atomic>

namespace quarrow {
namespace {

// From the process that loaded this library to this one.
constinit std::atomic<unsigned> fork_count{0};

[[maybe_unused]] const int kForkHandler =
    pthread_atfork(nullptr, nullptr, [] { fork_count.fetch_add(1, std::memory_order_relaxed); });

}  // namespace

unsigned ForkWatch::forks() noexcept { return fork_count.load(std::memory_order_relaxed); }

bool in_forked_child() noexcept { return fork_count.load(std::memory_order_relaxed) != 0; }

}  // namespace quarrow

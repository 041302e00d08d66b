// SPDX-License-Identifier: Apache-2.0
#include "core/tile_loop.h"

#include <algorithm>

#include "core/floating_point_mode.h"

namespace quarrow {
namespace {

constexpr auto kPollInterval = std::chrono::milliseconds(50);

}  // namespace

bool TileLoop::run_one(std::size_t worker) noexcept {
  if (stopped_.load(std::memory_order_relaxed)) return false;
  const std::size_t index = next_.fetch_add(1, std::memory_order_relaxed);
  if (index >= count_) return false;
  body_(index, worker);
  return true;
}

void TileLoop::poll_if_due() noexcept {
  if (poll_ == nullptr) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_poll_ < kPollInterval) return;
  last_poll_ = now;
  // The tiles that the parent's workers had begun will never be finished in the child.
  if (!poll_->keep_going() || left_behind()) stopped_.store(true, std::memory_order_relaxed);
}

void TileLoop::work(std::size_t worker) noexcept {
  const DefaultFloatingPointMode mode;
  while (run_one(worker)) {
  }
}

bool TileLoop::lead(std::size_t most) noexcept {
  const DefaultFloatingPointMode mode;
  for (; most > 0 && run_one(0); --most) poll_if_due();
  return most == 0;
}

std::size_t TileLoop::left() const noexcept {
  return count_ - std::min(count_, next_.load(std::memory_order_relaxed));
}

std::size_t useful_threads(std::size_t count, std::size_t threads) noexcept {
  if (in_forked_child()) return 1;
  return std::max<std::size_t>(1, std::min(count, threads));
}

}  // namespace quarrow

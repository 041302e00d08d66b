// SPDX-License-Identifier: Apache-2.0
//
// Which tile of a pass failed first.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <limits>
#include <mutex>
#include <utility>

namespace quarrow {

// Tiles begin lowest first, and those below a failed one run to their end: so the failure kept is
// that of the lowest failing tile, at any number of threads.
class FirstFailure {
 public:
  // True for tiles that need not run any more.
  bool is_beyond(std::size_t tile) const noexcept {
    return tile > tile_.load(std::memory_order_relaxed);
  }

  void record(std::size_t tile, std::exception_ptr error) noexcept {
    const std::lock_guard lock(mutex_);
    if (tile >= tile_.load(std::memory_order_relaxed)) return;
    error_ = std::move(error);
    tile_.store(tile, std::memory_order_relaxed);
  }

  // After the pass.
  bool occurred() const noexcept { return error_ != nullptr; }
  [[noreturn]] void rethrow() const { std::rethrow_exception(error_); }

 private:
  std::atomic<std::size_t> tile_ = std::numeric_limits<std::size_t>::max();
  std::mutex mutex_;
  std::exception_ptr error_;
};

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// How far a file job is, and whether it goes on.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "quarrow/core/executor.h"
#include "quarrow/core/fork_watch.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow {

// Workers add what they finish; the calling thread reports it, in the order of the source.
class ProgressPoll final : public Poll {
 public:
  ProgressPoll(std::span<const TensorPlan> tensors, FileProgress* progress, Poll* caller);

  void finished(std::size_t tensor, std::uint64_t bytes) noexcept {
    finished_[tensor].fetch_add(bytes, std::memory_order_relaxed);
  }
  // Stops the job for a fault of its own, from any thread.
  void stop() noexcept { stopped_.store(true, std::memory_order_relaxed); }
  void resume() noexcept { stopped_.store(false, std::memory_order_relaxed); }

  bool keep_going() noexcept override;
  // True once the caller's poll or progress has said stop, or forked, in the child: the files are
  // its parent's. Neither is asked again.
  bool cancelled() const noexcept { return cancelled_; }

 private:
  bool report() noexcept;
  bool report_one(std::uint64_t done, std::size_t tensor) noexcept;

  std::span<const TensorPlan> tensors_;
  FileProgress* progress_;
  Poll* caller_;
  std::vector<std::atomic<std::uint64_t>> finished_;  // bytes of each tensor
  std::uint64_t total_ = 0;
  std::size_t cursor_ = 0;    // all tensors before it are finished and reported
  std::uint64_t before_ = 0;  // their bytes
  std::uint64_t reported_ = 0;
  std::atomic<bool> stopped_ = false;
  bool cancelled_ = false;
  ForkWatch fork_;
};

}  // namespace quarrow

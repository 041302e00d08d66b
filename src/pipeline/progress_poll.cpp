// SPDX-License-Identifier: Apache-2.0
#include "pipeline/progress_poll.h"

namespace quarrow {

ProgressPoll::ProgressPoll(std::span<const TensorPlan> tensors, FileProgress* progress,
                           Poll* caller)
    : tensors_(tensors), progress_(progress), caller_(caller), finished_(tensors.size()) {
  for (const TensorPlan& tensor : tensors) total_ += tensor.bytes_in();
}

bool ProgressPoll::keep_going() noexcept {
  if (cancelled_ || stopped_.load(std::memory_order_relaxed)) return false;
  cancelled_ = (caller_ != nullptr && !caller_->keep_going()) ||
               (progress_ != nullptr && !report()) || fork_.in_child();
  return !cancelled_;
}

bool ProgressPoll::report() noexcept {
  while (cursor_ < tensors_.size()) {
    const std::uint64_t bytes = tensors_[cursor_].bytes_in();
    const std::uint64_t finished = finished_[cursor_].load(std::memory_order_relaxed);
    if (finished < bytes) {
      return before_ + finished == reported_ || report_one(before_ + finished, cursor_);
    }
    before_ += bytes;
    if (!report_one(before_, cursor_++)) return false;
  }
  return true;
}

bool ProgressPoll::report_one(std::uint64_t done, std::size_t tensor) noexcept {
  reported_ = done;
  return progress_->advanced(done, total_, tensors_[tensor].name());
}

}  // namespace quarrow

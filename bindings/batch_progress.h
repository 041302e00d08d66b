// SPDX-License-Identifier: Apache-2.0
//
// How far a batch is, told to a callable.
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <cstddef>
#include <span>
#include <vector>

#include "quarrow/core/executor.h"
#include "quarrow/quantize/execute.h"

namespace quarrow::python {

// Calls callback(done, total, name) on the calling thread, once for each layer that has finished
// since the last poll; layers that could not be read have finished before the first. An exception
// in it stops the job and stays set. Does nothing when the callback is None.
class BatchProgress final : public Poll, public LayerProgress {
 public:
  // `names` of all layers; `positions`, in `names`, of the layers of the plan. Borrows all three.
  BatchProgress(nanobind::handle callback, std::span<const nanobind::object> names,
                std::span<const std::size_t> positions);

  // For the job; null without a callback.
  Poll* poll() noexcept { return callback_.is_none() ? nullptr : this; }
  LayerProgress* layers() noexcept { return callback_.is_none() ? nullptr : this; }

  void finished(std::size_t layer) noexcept override;
  // Needs the lock, as what a SignalPoll asks does.
  bool keep_going() noexcept override;

  // When the job is done: the calls that are left. Needs the lock; throws what the callback raised.
  void finish();

 private:
  void report();

  nanobind::handle callback_;
  std::span<const nanobind::object> names_;
  std::span<const std::size_t> positions_;
  // Positions plus one in the order in which they finished; 0: not yet.
  std::vector<std::atomic<std::size_t>> order_;
  std::atomic<std::size_t> finished_ = 0;
  std::size_t reported_ = 0;
};

}  // namespace quarrow::python

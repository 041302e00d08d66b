// SPDX-License-Identifier: Apache-2.0
//
// The result of a batch, as Python holds it.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "layer_batch.h"
#include "quantized_tensor.h"
#include "quarrow/arrow/layer_export.h"

namespace quarrow::python {

// A mapping of names to QuantizedTensors in the order of the input; each keeps alive the memory
// that it lies in. Needs the lock.
class BatchResult {
 public:
  // What `batch` made; its index becomes that of the tensors, which take its shapes.
  BatchResult(LayerBatch& batch, const QuantizedLayers& made, const CallStats& stats);

  // Of tensors that there are already, and errors. Raises InvalidInputError for anything else.
  BatchResult(nanobind::handle tensors, nanobind::handle errors);

  std::size_t size() const { return tensors_.size(); }
  bool contains(nanobind::handle name) const { return tensors_.contains(name); }
  nanobind::object tensor(nanobind::handle name) const;  // raises KeyError
  nanobind::dict tensors() const { return tensors_; }    // not to be changed
  nanobind::dict errors() const { return errors_; }
  // Of the whole call.
  const CallStats& stats() const noexcept { return stats_; }
  void describe(const CallStats& stats) noexcept { stats_ = stats; }
  std::uint64_t bytes() const;          // of all arrays, as Python sees them
  std::vector<ResultRow> rows() const;  // for Arrow, in order
  // For the garbage collector: see kCollected.
  int traverse(visitproc visit, void* argument) const noexcept;

 private:
  nanobind::dict tensors_;
  nanobind::dict errors_;
  CallStats stats_;
};

}  // namespace quarrow::python

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

// A mapping of names to QuantizedTensors in the order of the input. The tensors are made when read,
// once; each keeps alive the memory that it lies in. Needs the lock.
class BatchResult {
 public:
  // What `batch` made. The statistics are of the whole call.
  BatchResult(const LayerBatch& batch, std::shared_ptr<const QuantizedLayers> made,
              const CallStats& stats);

  // Of tensors that there are already, and errors. Raises InvalidInputError for anything else.
  BatchResult(nanobind::handle tensors, nanobind::handle errors);

  std::size_t size() const { return index_.size(); }
  bool contains(nanobind::handle name) const { return index_.contains(name); }
  nanobind::object tensor(nanobind::handle name);  // raises KeyError
  nanobind::dict names() const { return index_; }  // in its keys
  nanobind::dict errors() const { return errors_; }
  const CallStats& stats() const noexcept { return stats_; }
  std::uint64_t bytes() const;    // of all arrays, as Python sees them
  std::vector<ResultRow> rows();  // for Arrow, in order
  // For the garbage collector: see kCollected.
  int traverse(visitproc visit, void* argument) const noexcept;

 private:
  nanobind::dict index_;  // name: index in tensors_
  std::vector<nanobind::object> tensors_;
  std::shared_ptr<const QuantizedLayers> made_;
  nanobind::dict errors_;
  CallStats stats_;
};

}  // namespace quarrow::python

// SPDX-License-Identifier: Apache-2.0
//
// Where the values of a tensor come from: as they lie in the source (FloatSource), or decoded of a
// quantized layer (StoredSource). What becomes of them is a sink's (EncodeSink, FloatSink), whose
// tiles they are asked for: whole rows, or a stretch of one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quarrow/core/dtype.h"
#include "quarrow/pipeline/file_plan.h"

namespace quarrow {

// Functions with a worker argument may be called from several threads, each with its own worker
// number. They throw CheckpointFault and filesystem_error.
class ValueSource {
 public:
  ValueSource() = default;
  ValueSource(const ValueSource&) = delete;
  ValueSource& operator=(const ValueSource&) = delete;
  virtual ~ValueSource() = default;

  // The values of a tile, rows one behind the other: where they lie, or in memory of the worker,
  // which holds them until its next call.
  virtual const std::byte* read(const TensorPlan& tensor, const Tile& tile, std::size_t worker) = 0;

  // Writes them to `to` as another dtype. Returns how many come before the first finite value that
  // is beyond that, all of them where none is.
  virtual std::uint64_t convert(const TensorPlan& tensor, const Tile& tile, DType dtype,
                                std::byte* to, std::size_t worker) = 0;
};

// All that a job has.
class Sources {
 public:
  Sources(ValueSource& plain, ValueSource& stored) noexcept : plain_(plain), stored_(stored) {}

  ValueSource& of(const TensorPlan& tensor) const noexcept {
    return tensor.is_decoded() ? stored_ : plain_;
  }

 private:
  ValueSource& plain_;
  ValueSource& stored_;
};

}  // namespace quarrow

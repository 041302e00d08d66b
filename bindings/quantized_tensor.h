// SPDX-License-Identifier: Apache-2.0
//
// The result of a quantization, as Python holds it.
#pragma once

#include <nanobind/nanobind.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "array_argument.h"
#include "quarrow/core/dtype.h"
#include "quarrow/quantize/execute.h"
#include "quarrow/quantize/plan.h"

namespace quarrow::python {

// What one call did, and how long each part of it took. Seconds.
struct CallStats {
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_copied = 0;  // of the input, before it could be read
  double view_seconds = 0;         // finding the input's memory
  double alloc_seconds = 0;        // plan and output memory
  double core_seconds = 0;
  double export_seconds = 0;
  double total_seconds = 0;
  std::size_t threads = 0;
  std::string_view isa;
};

// Whether Python sees the scales as float16; in memory they are float32.
bool has_half_scales(const LayerPlan& layer) noexcept;

// Of the arrays of a layer, as Python sees them.
std::uint64_t stored_bytes(const LayerPlan& layer) noexcept;

// The array of a part, as Python sees it: blocks are their bytes.
struct ArrayShape {
  std::array<std::int64_t, 2> sizes;
  std::size_t dimensions;

  std::span<const std::int64_t> span() const noexcept { return {sizes.data(), dimensions}; }
};
ArrayShape array_shape(const PartSpec& part) noexcept;
// What its elements are, which are not those in memory for scales of float16.
ElementType part_type(const LayerPlan& layer, const PartSpec& part) noexcept;

// Owns its parts in one block of memory, or holds the numpy arrays of a caller. The numpy arrays of
// owned parts are made when read, once. Scales are kept in f32 whatever the scale dtype: every f16
// value is an f32 value. Needs the lock, except in stored() and span().
class QuantizedTensor {
 public:
  // Allocates. `layer` is of a plan for a tensor of `shape`.
  QuantizedTensor(const LayerPlan& layer, std::vector<std::int64_t> shape, nanobind::handle name);

  // Over outputs in memory that others may share; see memory_capsule().
  QuantizedTensor(const LayerPlan& layer, std::vector<std::int64_t> shape, nanobind::handle name,
                  const QuantizedSpan& outputs, nanobind::handle memory);

  // Over a caller's numpy arrays, which must have the dtypes and shapes of the format (scales of
  // float16 are widened into memory of its own). With `writable` they must be writable too. Raises
  // InvalidInputError.
  QuantizedTensor(const LayerPlan& layer, std::vector<std::int64_t> shape, nanobind::handle name,
                  const PerRole<nanobind::handle>& arrays, bool writable);

  const LayerPlan& layer() const noexcept { return layer_; }
  const std::vector<std::int64_t>& shape() const noexcept { return shape_; }
  nanobind::handle name() const noexcept { return name_; }
  std::uint64_t bytes() const noexcept { return stored_bytes(layer_); }
  bool writable() const noexcept { return writable_; }

  // What keeps its parts alive: memory of its own, and a caller's arrays or None.
  std::shared_ptr<std::byte> owned_memory() const noexcept;
  nanobind::object callers_arrays() const;

  // Whether a caller's arrays share memory: such a tensor can be read, not written.
  bool parts_overlap() const noexcept;

  // Its parts, where they lie, and the float16 scales of a caller.
  std::array<std::span<const std::byte>, kRoles + 1> memory() const noexcept;

  // The array of a part, made once; None when the format has none.
  nanobind::object array(Role role);

  QuantizedView stored() const noexcept { return view_of(parts_); }
  QuantizedSpan span() noexcept { return parts_; }
  // To be called when span() was written: passes float16 scales on to those who see them. Returns
  // whether it had to.
  bool written();

  // Takes over what a new result in this memory describes.
  void describe(nanobind::handle name, DType dtype, const CallStats& stats);
  const CallStats& stats() const noexcept { return stats_; }

  // For the garbage collector: see kCollected.
  int traverse(visitproc visit, void* argument) const noexcept;

  QuantizedTensor copy() const;
  bool same_values(const QuantizedTensor& other) const noexcept;

 private:
  nanobind::object new_part(const PartSpec& part);  // of the type in memory
  nanobind::object new_scales() { return new_part(*layer_.encoding.find(Role::kScales)); }
  bool has_half_scales() const noexcept { return quarrow::python::has_half_scales(layer_); }

  LayerPlan layer_;
  std::vector<std::int64_t> shape_;
  nanobind::object name_;
  nanobind::object memory_;  // a capsule; null where all is the caller's
  QuantizedSpan parts_;
  PerRole<nanobind::object> arrays_;
  const void* half_scales_ = nullptr;  // in the array of the scales, when that is the caller's
  bool writable_ = true;
  bool callers_arrays_ = false;  // they are written to, not made anew
  CallStats stats_;
};

// Whether the object is one, and was made as one (not by __new__ alone).
bool is_quantized_tensor(nanobind::handle object);

// Whether some byte belongs to both.
bool overlap(std::span<const std::byte> a, std::span<const std::byte> b) noexcept;

// quarrow.descriptions.CallStats of these figures.
nanobind::object call_stats(const CallStats& stats);

// quarrow.descriptions.ErrorStats of these sums.
nanobind::object error_stats(const ErrorSums& sums);

// The numpy dtype that stands for `dtype`; for bfloat16 ml_dtypes' when installed, else uint16.
nanobind::object numpy_dtype(DType dtype);

}  // namespace quarrow::python

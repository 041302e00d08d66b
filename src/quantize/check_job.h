// SPDX-License-Identifier: Apache-2.0
//
// Whether a job can run as it was called. Every call asks, small ones too: all of it is inlined.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "quarrow/core/status.h"
#include "quarrow/core/tensor_view.h"
#include "quarrow/quantize/execute.h"
#include "quarrow/quantize/plan.h"

namespace quarrow {

// What is wrong with what is read of a layer: kOtherTensor, kNullInput, kBadStride.
inline StatusCode fault_of(const LayerPlan& layer, const TensorView& view) noexcept {
  if (view.dtype != layer.dtype || view.rows != layer.rows || view.cols != layer.cols) {
    return StatusCode::kOtherTensor;
  }
  if (view.data == nullptr && layer.elements() != 0) return StatusCode::kNullInput;
  if (view.rows <= 1 || view.rows_overlap) return StatusCode::kOk;
  const std::uint64_t row_bytes = view.cols * size_of(view.dtype);
  const auto stride = static_cast<std::uint64_t>(view.row_stride_bytes);
  return std::min(stride, 0 - stride) < row_bytes ? StatusCode::kBadStride : StatusCode::kOk;
}

// Whether some of its parts, borrowed either way, are missing.
template <typename Parts>
bool has_null(const LayerPlan& layer, const Parts& parts) noexcept {
  for (const PartSpec& part : layer.encoding.parts()) {
    if (parts[part.role] == nullptr && part.bytes() != 0) return true;
  }
  return false;
}

// Whether it has elements, or parts all the same: see Tiler.
inline bool has_work(const LayerPlan& layer) noexcept {
  if (layer.elements() != 0) return true;
  for (const PartSpec& part : layer.encoding.parts()) {
    if (part.bytes() != 0) return true;
  }
  return false;
}

inline StatusCode fault_of(const LayerPlan& layer, const QuantizedView& read) noexcept {
  return has_null(layer, read) ? StatusCode::kNullInput : StatusCode::kOk;
}

// What is wrong with what is written: kNullOutput, kBadDType.
inline StatusCode fault_of(const LayerPlan& layer, const QuantizedSpan& written) noexcept {
  return has_null(layer, written) ? StatusCode::kNullOutput : StatusCode::kOk;
}

inline StatusCode fault_of(const LayerPlan& layer, const DequantizedSpan& written) noexcept {
  if (!is_written(written.dtype)) return StatusCode::kBadDType;
  const bool null = written.data == nullptr && layer.elements() != 0;
  return null ? StatusCode::kNullOutput : StatusCode::kOk;
}

// Of a layer whose tiles must begin at `first_tile`: kPlanNotCut; kBadFormat where add_layer() has
// not made it.
inline StatusCode fault_of(const LayerPlan& layer, std::size_t first_tile) noexcept {
  if (layer.first_tile != first_tile) return StatusCode::kPlanNotCut;
  const bool works = has_work(layer);
  if (works && layer.format.spec == nullptr) return StatusCode::kBadFormat;
  return (layer.tile_count != 0) == works ? StatusCode::kOk : StatusCode::kPlanNotCut;
}

// What keeps a job from running, and in which layer: as much of a Status as that takes.
struct JobFault {
  StatusCode code = StatusCode::kOk;
  std::size_t layer = 0;
};

// What is wrong with the first layer that has something, in the plan or in one of the lists, which
// are as long.
template <typename... Items>
JobFault first_fault(const Plan& plan, std::span<const Items>... lists) noexcept {
  std::size_t tiles = 0;
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const LayerPlan& layer = plan.layers[i];
    StatusCode code = fault_of(layer, tiles);
    ((code = code == StatusCode::kOk ? fault_of(layer, lists[i]) : code), ...);
    if (code != StatusCode::kOk) return {code, i};
    tiles += layer.tile_count;
  }
  if (tiles != plan.tiles.size()) return {StatusCode::kPlanNotCut, 0};
  return {};
}

inline bool is_policy(NonFinitePolicy policy) noexcept {
  return policy == NonFinitePolicy::kRaise || policy == NonFinitePolicy::kSaturate;
}

}  // namespace quarrow

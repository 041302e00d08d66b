// SPDX-License-Identifier: Apache-2.0
//
// What a job reports back. The core states facts (which layer, where, how many); the words that a
// person reads are made by the caller, in one place (bindings/errors.cpp for Python).
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string_view>

namespace quarrow {

enum class StatusCode : std::uint8_t {
  kOk,
  kCancelled,      // the poll asked to stop
  kNonFinite,      // position: flat index of the first NaN or Inf; count: how many; kind: the first
  kRangeOverflow,  // position: flat index where the first group starts whose max - min overflows
                   // f32, or whose scale overflows the type that the format stores it in
  kValueOverflow,  // position: flat index of the first finite value that the new dtype cannot hold
  kBeyondF32,      // position: flat index of the first finite f64 value that is Inf in f32; value:
                   // that value; count: how many
  kTooManyDimensions,  // more than kMaxDimensions; count: how many
  kPartialBlock,       // rows are not whole blocks of the format; count: columns of a block
  kSizeOverflow,       // the shape's product or an output's size does not fit in 63 bits
  // The call makes no sense, and nothing was done. The layer says where; of what is no layer's
  // fault it is 0.
  kWrongLayerCount,  // the number of inputs or outputs is not the plan's; count: that of the plan
  kBadFormat,        // no format, a group of no columns, a value out of its enumeration
  kBadDType,         // an element type that is none, or that cannot be read or written here
  kBadStride,        // rows of an input overlap: row_stride_bytes is less than a row
  kNullInput,        // null where an input has values
  kNullOutput,       // null where an output has room for values
  kOtherTensor,      // dtype, rows or columns of an input are not those that were planned
  kPlanNotCut,       // cut_tiles() was not called since the last layer was added
  kBadPolicy,        // a NonFinitePolicy that is none
  kNoExecutor,       // the context has none
  kNoTarget,         // the context's target, or that of QUARROW_FORCE_ISA, cannot run here
};

// The code's name for programs and logs, such as "non_finite". Never changes.
std::string_view name_of(StatusCode code) noexcept;

enum class NonFiniteKind : std::uint8_t { kNaN, kPositiveInf, kNegativeInf };

struct Status {
  StatusCode code = StatusCode::kOk;
  std::size_t layer = 0;  // index in the order of the inputs
  std::uint64_t position = 0;
  std::uint64_t count = 0;
  NonFiniteKind kind = NonFiniteKind::kNaN;
  double value = 0;

  bool ok() const noexcept { return code == StatusCode::kOk; }
};

// Thrown by the functions that prepare work (shapes, formats, plans), never by one that runs it.
class StatusError : public std::exception {
 public:
  explicit StatusError(Status status) noexcept : status_(status) {}
  const Status& status() const noexcept { return status_; }
  const char* what() const noexcept override { return name_of(status_.code).data(); }

 private:
  Status status_;
};

}  // namespace quarrow

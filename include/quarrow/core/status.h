// SPDX-License-Identifier: Apache-2.0
//
// What a job reports back. The core states facts (which layer, where, how many); the words that a
// person reads are made by the caller, in one place (bindings/errors.cpp for Python).
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>

namespace quarrow {

enum class StatusCode : std::uint8_t {
  kOk,
  kCancelled,      // the poll asked to stop
  kNonFinite,      // position: flat index of the first NaN or Inf; count: how many; kind: the first
  kRangeOverflow,  // position: flat index where the first group whose max - min overflows f32
                   // starts
  kValueOverflow,  // position: flat index of the first finite value that the new dtype cannot hold
  kBeyondF32,      // position: flat index of the first finite f64 value that is Inf in f32; value:
                   // that value; count: how many
  kTooManyDimensions,  // more than kMaxDimensions; count: how many
  kSizeOverflow,       // the shape's product or an output's size does not fit in 63 bits
  kWrongLayerCount,    // the number of inputs or outputs is not the plan's
};

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
  const char* what() const noexcept override { return "quarrow::StatusError"; }

 private:
  Status status_;
};

}  // namespace quarrow

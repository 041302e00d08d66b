// SPDX-License-Identifier: Apache-2.0
//
// A borrowed tensor, seen as a matrix.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "quarrow/core/dtype.h"

namespace quarrow {

// Of every tensor that is made, read or converted: no array of numpy, no Python buffer and no
// tensor of torch has more. Files may hold what has more; it is only copied.
inline constexpr std::size_t kMaxDimensions = 64;

// rows = shape[0], columns = the product of the rest; a 1-D tensor is one row. Columns are
// contiguous; rows lie row_stride_bytes apart (negative for a reversed view). Any alignment.
// Zero rows or columns are valid, and then data is never read. Borrows: the memory must stay
// readable and unchanged until the call that takes the view returns. matrix_view() makes one of
// rows without gaps.
struct TensorView {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  std::uint64_t rows = 0;
  std::uint64_t cols = 0;
  std::ptrdiff_t row_stride_bytes = 0;  // at least a row, whatever its sign
  bool rows_overlap = false;  // may, then with any distance: one row for all, a sliding window

  std::uint64_t elements() const noexcept { return rows * cols; }
  std::uint64_t bytes() const noexcept { return elements() * size_of(dtype); }
};

// The matrix that `shape` describes, rows one after the other. An empty shape (a 0-d tensor) is one
// element. Throws StatusError: kTooManyDimensions beyond kMaxDimensions; kSizeOverflow when the
// bytes do not fit in 63 bits, or a dimension of zero stands beside overflowing ones, whatever
// their order, or one is negative; kBadDType.
TensorView matrix_view(const void* data, DType dtype, std::span<const std::int64_t> shape);

}  // namespace quarrow

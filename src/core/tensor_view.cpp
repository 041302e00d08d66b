// SPDX-License-Identifier: Apache-2.0
#include "quarrow/core/tensor_view.h"

#include "core/checked_math.h"
#include "quarrow/core/status.h"

namespace quarrow {

TensorView matrix_view(const void* data, DType dtype, std::span<const std::int64_t> shape) {
  if (shape.size() > kMaxDimensions) {
    throw StatusError(Status{.code = StatusCode::kTooManyDimensions, .count = shape.size()});
  }
  if (size_of(dtype) == 0) throw StatusError(Status{.code = StatusCode::kBadDType});
  // Zeros are left out of the checked product, so that an overflow beside one is found in any
  // order.
  std::uint64_t bytes = size_of(dtype);
  bool empty = false;
  for (const std::int64_t dimension : shape) {
    if (dimension == 0) {
      empty = true;
      continue;
    }
    const auto product = checked_product(bytes, static_cast<std::uint64_t>(dimension));
    if (!product) throw StatusError(Status{.code = StatusCode::kSizeOverflow});
    bytes = *product;
  }
  const std::uint64_t elements = empty ? 0 : bytes / size_of(dtype);
  TensorView view{.data = data, .dtype = dtype};
  if (shape.size() < 2) {
    view.rows = 1;
    view.cols = elements;
  } else {
    view.rows = static_cast<std::uint64_t>(shape[0]);
    view.cols = 1;
    for (const std::int64_t dimension : shape.subspan(1)) {
      view.cols *= static_cast<std::uint64_t>(dimension);
    }
  }
  view.row_stride_bytes = static_cast<std::ptrdiff_t>(view.cols * size_of(dtype));
  return view;
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "pipeline/float_source.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/format_kernels.h"

namespace quarrow {
namespace {

// The smallest magnitude that rounds to Inf.
float smallest_infinite(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return 65520.0F;
    case DType::kBF16:
      return 0x1.FFp127F;
    case DType::kF32:
    case DType::kF64:
      break;
  }
  return std::numeric_limits<float>::infinity();
}

bool is_finite(const std::byte* data, DType dtype, std::size_t index) {
  if (dtype == DType::kF64) {
    double value = 0;
    std::memcpy(&value, data + index * sizeof(value), sizeof(value));
    return std::isfinite(value);
  }
  if (dtype == DType::kF32) {
    float value = 0;
    std::memcpy(&value, data + index * sizeof(value), sizeof(value));
    return std::isfinite(value);
  }
  std::uint16_t pattern = 0;
  std::memcpy(&pattern, data + index * sizeof(pattern), sizeof(pattern));
  const unsigned exponent = dtype == DType::kF16 ? 0x7C00U : 0x7F80U;
  return (pattern & exponent) != exponent;
}

// The element with which a tile begins.
std::uint64_t first_element(const TensorEntry& tensor, const Tile& tile) {
  std::uint64_t cols = 1;
  if (tile.row != 0) {
    for (const std::uint64_t dimension : tensor.shape.subspan(1)) cols *= dimension;
  }
  return tile.row * cols + tile.col;
}

}  // namespace

FloatSource::FloatSource(const Checkpoint& source, const Context& context)
    : source_(source),
      target_(context.target),
      buffers_(std::max<std::size_t>(context.threads, 1)) {}

const std::byte* FloatSource::read(const TensorPlan& tensor, const Tile& tile, std::size_t worker) {
  const std::size_t element_bytes = size_of(*float_dtype(tensor.source->dtype));
  const std::uint64_t bytes = tile.rows * tile.cols * element_bytes;
  return source_.read(*tensor.source, first_element(*tensor.source, tile) * element_bytes, bytes,
                      buffers_[worker].stored.room(bytes));
}

std::uint64_t FloatSource::convert(const TensorPlan& tensor, const Tile& tile, DType dtype,
                                   std::byte* to, std::size_t worker) {
  const DType from = *float_dtype(tensor.source->dtype);
  const std::byte* const input = read(tensor, tile, worker);
  const auto count = static_cast<std::size_t>(tile.rows * tile.cols);
  auto* const values =
      reinterpret_cast<float*>(buffers_[worker].values.room(count * sizeof(float)));
  const SharedKernels& kernels = shared_kernels(target_);
  kernels.to_f32(input, from, count, values);
  kernels.from_f32(values, count, dtype, to);
  for (std::size_t i = 0; i < count; ++i) {
    const bool fits = std::abs(values[i]) < smallest_infinite(dtype);
    if (!fits && is_finite(input, from, i)) return i;
  }
  return count;
}

}  // namespace quarrow

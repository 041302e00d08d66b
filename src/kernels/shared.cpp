// SPDX-License-Identifier: Apache-2.0
//
// Kernels that belong to no format: the range of a tile, and its values as f32.
#include "kernels/format_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/shared.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h comes first.
#include "kernels/range-inl.h"
#include "kernels/target_table.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {
namespace {

template <DType kDType>
HWY_NOINLINE void range_from(const InputTile& tile, Range& range, TileReport& report) {
  range = {};
  for (std::size_t row = 0; row < tile.rows && tile.cols != 0; ++row) {
    const std::byte* data = tile.data + static_cast<std::ptrdiff_t>(row) * tile.row_stride_bytes;
    std::int32_t magnitudes[2 * kLanes] = {};
    alignas(64) float values[kLanes];
    store_extremes(find_extremes<kDType>(data, tile.cols, nullptr), magnitudes);
    hn::Store(magnitude_values<kDType>(hn::LoadU(IntTag(), magnitudes)), FloatTag(), values);
    Range found{.lo = 0.0F - values[1], .hi = values[0]};
    if (!is_finite(found.lo) || !is_finite(found.hi)) {
      found =
          finite_range<kDType>(data, tile.cols, tile.first_index + row * tile.layer_cols, report);
    }
    range.lo = std::min(range.lo, found.lo);
    range.hi = std::max(range.hi, found.hi);
  }
}

void range(const InputTile& tile, Range& range, TileReport& report) noexcept {
  with_source(tile.dtype, [&](auto source) HWY_ATTR {
    range_from<decltype(source)::kDType>(tile, range, report);
  });
}

template <DType kDType>
HWY_NOINLINE void decode_from(const std::byte* data, std::size_t count, float* values) {
  constexpr std::size_t kBytes = Source<kDType>::kBytes;
  const FloatTag df;
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    hn::StoreU(Source<kDType>::load(data + i * kBytes), df, values + i);
  }
  if (i == count) return;
  alignas(64) std::byte padded[kLanes * kBytes] = {};
  alignas(64) float last[kLanes];
  std::memcpy(padded, data + i * kBytes, (count - i) * kBytes);
  hn::Store(Source<kDType>::load(padded), df, last);
  std::memcpy(values + i, last, (count - i) * sizeof(float));
}

void decode(const std::byte* data, DType dtype, std::size_t count, float* values) noexcept {
  with_source(dtype, [&](auto source)
                         HWY_ATTR { decode_from<decltype(source)::kDType>(data, count, values); });
}

const SharedKernels& shared() {
  static constexpr SharedKernels kKernels{
      .target_name = QUARROW_COMPILED_TARGET, .range = range, .decode = decode};
  return kKernels;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quarrow {
namespace {
HWY_EXPORT(shared);
}  // namespace

const SharedKernels& shared_kernels(Target target) noexcept {
  return QUARROW_TABLE_ENTRY(shared, target)();
}

}  // namespace quarrow
#endif  // HWY_ONCE

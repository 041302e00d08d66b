// SPDX-License-Identifier: Apache-2.0
//
// Kernels that belong to no format: the range of a tile, its values as f32 and back, and their
// errors.
#include <algorithm>
#include <limits>

#include "kernels/format_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/shared.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h comes first.
#include "kernels/range-inl.h"
#include "kernels/store-inl.h"
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
    store_extremes(find_extremes<kDType>(data, tile.cols, /*ahead=*/0), magnitudes);
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
HWY_NOINLINE void widen_from(const std::byte* data, std::size_t count, float* values) {
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

void to_f32(const std::byte* data, DType dtype, std::size_t count, float* values) noexcept {
  with_source(dtype, [&](auto source)
                         HWY_ATTR { widen_from<decltype(source)::kDType>(data, count, values); });
}

template <DType kDType>
HWY_NOINLINE void narrow_to(const float* values, std::size_t count, std::byte* data) {
  constexpr std::size_t kBytes = Sink<kDType>::kBytes;
  const FloatTag df;
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Sink<kDType>::store(hn::LoadU(df, values + i), data + i * kBytes);
  }
  if (i == count) return;
  alignas(64) float padded[kLanes] = {};
  alignas(64) std::byte last[kLanes * kBytes];
  std::copy(values + i, values + count, padded);
  Sink<kDType>::store(hn::Load(df, padded), last);
  std::memcpy(data + i * kBytes, last, (count - i) * kBytes);
}

void from_f32(const float* values, std::size_t count, DType dtype, std::byte* data) noexcept {
  with_sink(dtype,
            [&](auto sink) HWY_ATTR { narrow_to<decltype(sink)::kDType>(values, count, data); });
}

using DoubleTag = hn::CappedTag<double, ErrorLanes::kCount>;
using Doubles = hn::Vec<DoubleTag>;

HWY_INLINE Doubles promoted(const float* values) {
  const DoubleTag dd;
  return hn::PromoteTo(dd, hn::LoadU(hn::Rebind<float, DoubleTag>(), values));
}

// Adds whole rounds of the lanes from `lane` on, as many as a vector holds.
HWY_INLINE void add_rounds(const float* originals, const float* restored, std::size_t count,
                           std::size_t lane, ErrorLanes& lanes) {
  const DoubleTag dd;
  auto max_abs = hn::Load(dd, lanes.max_abs + lane);
  auto squared_error = hn::Load(dd, lanes.squared_error + lane);
  auto squared_original = hn::Load(dd, lanes.squared_original + lane);
  auto squared_restored = hn::Load(dd, lanes.squared_restored + lane);
  auto product = hn::Load(dd, lanes.product + lane);
  auto counted = hn::Load(dd, lanes.count + lane);
  const auto largest = hn::Set(dd, static_cast<double>(hwy::HighestValue<float>()));
  const auto one = hn::Set(dd, 1.0);
  for (std::size_t i = lane; i < count; i += ErrorLanes::kCount) {
    const auto any = promoted(originals + i);
    const auto finite = hn::Le(hn::Abs(any), largest);
    const auto x = hn::IfThenElseZero(finite, any);
    const auto y = hn::IfThenElseZero(finite, promoted(restored + i));
    const auto error = hn::Abs(hn::Sub(x, y));
    max_abs = hn::Max(max_abs, error);
    squared_error = hn::Add(squared_error, hn::Mul(error, error));
    squared_original = hn::Add(squared_original, hn::Mul(x, x));
    squared_restored = hn::Add(squared_restored, hn::Mul(y, y));
    product = hn::Add(product, hn::Mul(x, y));
    counted = hn::Add(counted, hn::IfThenElseZero(finite, one));
  }
  hn::Store(max_abs, dd, lanes.max_abs + lane);
  hn::Store(squared_error, dd, lanes.squared_error + lane);
  hn::Store(squared_original, dd, lanes.squared_original + lane);
  hn::Store(squared_restored, dd, lanes.squared_restored + lane);
  hn::Store(product, dd, lanes.product + lane);
  hn::Store(counted, dd, lanes.count + lane);
}

void add_errors(const float* originals, const float* restored, std::size_t count,
                ErrorLanes& lanes) noexcept {
  constexpr std::size_t kRound = ErrorLanes::kCount;
  const std::size_t whole = count / kRound * kRound;
  // A round that is not full: NaN is left out like any other non-finite original.
  float last_originals[kRound];
  float last_restored[kRound] = {};
  std::fill_n(last_originals, kRound, std::numeric_limits<float>::quiet_NaN());
  std::copy(originals + whole, originals + count, last_originals);
  std::copy(restored + whole, restored + count, last_restored);
  for (std::size_t lane = 0; lane < kRound; lane += hn::MaxLanes(DoubleTag())) {
    add_rounds(originals, restored, whole, lane, lanes);
    if (whole != count) add_rounds(last_originals, last_restored, kRound, lane, lanes);
  }
}

const SharedKernels& shared() {
  static constexpr SharedKernels kKernels{.target_name = QUARROW_COMPILED_TARGET,
                                          .range = range,
                                          .to_f32 = to_f32,
                                          .from_f32 = from_f32,
                                          .add_errors = add_errors};
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

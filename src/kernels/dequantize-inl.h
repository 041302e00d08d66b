// SPDX-License-Identifier: Apache-2.0
//
// Codes back to values: (code - zero point) * scale in f32, one rounding, then one more to f16 or
// bf16.

#if defined(QUARROW_KERNELS_DEQUANTIZE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_DEQUANTIZE_INL_H_
#undef QUARROW_KERNELS_DEQUANTIZE_INL_H_
#else
#define QUARROW_KERNELS_DEQUANTIZE_INL_H_
#endif

#include "kernels/quantize-inl.h"
#include "kernels/store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {

// Codes are one a byte; `flip` makes them unsigned, as the zero point is.
struct DecodeSpan {
  const std::uint8_t* codes;
  std::size_t count;
  std::uint8_t flip;
  std::int32_t zero_point;
  float scale;
  std::byte* output;
};

template <DType kDType>
HWY_INLINE void decode_span(const DecodeSpan& span) {
  using Out = Sink<kDType>;
  const FloatTag df;
  const IntTag di;
  const hn::Rebind<std::uint8_t, FloatTag> d8;
  const auto flip = hn::Set(d8, span.flip);
  const auto zero_point = hn::Set(di, span.zero_point);
  const auto scale = hn::Set(df, span.scale);
  const auto values = [&](const std::uint8_t* codes) HWY_ATTR {
    const auto code = hn::PromoteTo(di, hn::Xor(hn::LoadU(d8, codes), flip));
    return hn::Mul(hn::ConvertTo(df, hn::Sub(code, zero_point)), scale);
  };
  std::size_t i = 0;
  for (; i + kLanes <= span.count; i += kLanes) {
    Out::store(values(span.codes + i), span.output + i * Out::kBytes);
  }
  if (i == span.count) return;
  alignas(64) std::uint8_t codes[kLanes] = {};
  alignas(64) std::byte last[kLanes * Out::kBytes];
  std::memcpy(codes, span.codes + i, span.count - i);
  Out::store(values(codes), last);
  std::memcpy(span.output + i * Out::kBytes, last, (span.count - i) * Out::kBytes);
}

// The codes of columns col .. col + count of a row, one a byte. Packed ones are unpacked to
// `scratch` (col is then a multiple of what a byte holds).
inline constexpr std::size_t kDecodeChunk = 4096;

HWY_INLINE const std::uint8_t* bytes_of(const DequantizeTile& tile, std::size_t row,
                                        std::size_t col, std::size_t count, std::uint8_t* scratch) {
  const PartInput& part = tile.parts[Role::kCodes];
  const auto* codes = reinterpret_cast<const std::uint8_t*>(part.data) + row * part.row_stride;
  if (!is_packed(tile.rule)) return codes + col;
  const std::uint8_t flip = sign_flip(tile.rule);
  if (tile.rule.bits == 4) {
    unpack_codes<4>(codes + col / 2, count, flip, scratch);
  } else {
    unpack_codes<2>(codes + col / 4, count, flip, scratch);
  }
  return scratch;
}

template <DType kDType>
HWY_NOINLINE void dequantize_to(const DequantizeTile& tile) {
  alignas(64) std::uint8_t scratch[kDecodeChunk + kPackStep<2>];
  const bool is_signed = tile.rule.symmetric && !tile.rule.unsigned_codes;
  // A signed code that fills its byte is an i8, whatever its bits.
  const bool is_int8 = is_signed && !is_packed(tile.rule);
  const std::int32_t middle = is_int8 ? 128 : 1 << (tile.rule.bits - 1);
  const auto* scales = reinterpret_cast<const float*>(tile.parts[Role::kScales].data);
  const auto* zero_points =
      reinterpret_cast<const std::uint8_t*>(tile.parts[Role::kZeroPoints].data);
  const std::size_t scales_row_stride = tile.parts[Role::kScales].row_stride / sizeof(float);
  for (std::size_t row = 0; row < tile.rows; ++row) {
    std::byte* output = static_cast<std::byte*>(tile.output) + row * tile.output_row_bytes;
    for (std::size_t start = 0; start < tile.cols; start += kDecodeChunk) {
      const std::size_t end = std::min(start + kDecodeChunk, tile.cols);
      const std::uint8_t* codes = bytes_of(tile, row, start, end - start, scratch);
      for (std::size_t col = start; col < end;) {
        const std::size_t group = col / tile.group_size;
        const std::size_t group_end = std::min(end, (group + 1) * tile.group_size);
        const std::size_t at = row * scales_row_stride + group;
        decode_span<kDType>({.codes = codes + (col - start),
                             .count = group_end - col,
                             .flip = static_cast<std::uint8_t>(is_int8 ? 0x80 : 0),
                             .zero_point = tile.rule.symmetric ? middle : zero_points[at],
                             .scale = scales[at],
                             .output = output + col * size_of(kDType)});
        col = group_end;
      }
    }
  }
}

HWY_INLINE void dequantize_tile(const DequantizeTile& tile) {
  switch (tile.dtype) {
    case DType::kF16:
      return dequantize_to<DType::kF16>(tile);
    case DType::kBF16:
      return dequantize_to<DType::kBF16>(tile);
    case DType::kF32:
    case DType::kF64:  // not offered: DequantizeTile::dtype
      return dequantize_to<DType::kF32>(tile);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_DEQUANTIZE_INL_H_

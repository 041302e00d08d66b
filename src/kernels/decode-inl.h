// SPDX-License-Identifier: Apache-2.0
//
// Codes back to values, in f32 with one rounding, then one more to f16 or bf16.

#if defined(QUARROW_KERNELS_DECODE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_DECODE_INL_H_
#undef QUARROW_KERNELS_DECODE_INL_H_
#else
#define QUARROW_KERNELS_DECODE_INL_H_
#endif

#include "kernels/integer_step-inl.h"
#include "kernels/store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {

// `count` codes of a byte each: value(codes of a vector) makes the vector.
template <DType kDType, class Value>
HWY_INLINE void decode_codes(const std::uint8_t* codes, std::size_t count, std::byte* output,
                             Value value) {
  using Out = Sink<kDType>;
  const CodeTag d8;
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Out::store(value(hn::LoadU(d8, codes + i)), output + i * Out::kBytes);
  }
  if (i == count) return;
  alignas(64) std::uint8_t last_codes[kLanes] = {};
  alignas(64) std::byte last[kLanes * Out::kBytes];
  std::memcpy(last_codes, codes + i, count - i);
  Out::store(value(hn::Load(d8, last_codes)), last);
  std::memcpy(output + i * Out::kBytes, last, (count - i) * Out::kBytes);
}

// A tile of codes of a byte each that all mean the same values.
template <class Value>
HWY_INLINE void decode_alike(const DecodeTile& tile, Value value) {
  const PartInput& codes = tile.parts[Role::kCodes];
  with_sink(tile.dtype, [&](auto sink) HWY_ATTR {
    for (std::size_t row = 0; row < tile.rows; ++row) {
      decode_codes<decltype(sink)::kDType>(
          reinterpret_cast<const std::uint8_t*>(codes.data) + row * codes.row_stride, tile.cols,
          static_cast<std::byte*>(tile.output) + row * tile.output_row_bytes, value);
    }
  });
}

// Columns that are unpacked at once.
inline constexpr std::size_t kDecodeChunk = 4096;

// The integer codes of columns col .. col + count of a row, one a byte. Packed ones are unpacked to
// `scratch` (col is then a multiple of what a byte holds).
HWY_INLINE const std::uint8_t* bytes_of(const DecodeTile& tile, std::size_t row, std::size_t col,
                                        std::size_t count, std::uint8_t* scratch) {
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
HWY_NOINLINE void decode_integers_to(const DecodeTile& tile) {
  alignas(64) std::uint8_t scratch[kDecodeChunk + kPackStep<2>];
  const FloatTag df;
  const IntTag di;
  const bool is_signed = tile.rule.symmetric && !tile.rule.unsigned_codes;
  // A signed code that fills its byte is an i8, whatever its bits.
  const bool is_int8 = is_signed && !is_packed(tile.rule);
  const std::int32_t middle = is_int8 ? 128 : 1 << (tile.rule.bits - 1);
  // Makes codes unsigned, as the zero point is.
  const auto flip = hn::Set(CodeTag(), static_cast<std::uint8_t>(is_int8 ? 0x80 : 0));
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
        const auto zero_point = hn::Set(di, tile.rule.symmetric ? middle : zero_points[at]);
        const auto scale = hn::Set(df, scales[at]);
        decode_codes<kDType>(codes + (col - start), group_end - col, output + col * size_of(kDType),
                             [&](hn::Vec<CodeTag> code) HWY_ATTR {
                               const auto whole = hn::PromoteTo(di, hn::Xor(code, flip));
                               return hn::Mul(hn::ConvertTo(df, hn::Sub(whole, zero_point)), scale);
                             });
        col = group_end;
      }
    }
  }
}

// Integer codes: (code - zero point) * scale.
HWY_INLINE void decode_integers(const DecodeTile& tile) {
  with_sink(tile.dtype,
            [&](auto sink) HWY_ATTR { decode_integers_to<decltype(sink)::kDType>(tile); });
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_DECODE_INL_H_

// SPDX-License-Identifier: Apache-2.0
//
// The formats again, slow and plain: one element at a time, roundings in double, bits set one by
// one. Shares no code with the kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/format_kernels.h"

namespace quarrow::reference {

double f16_value(std::uint16_t pattern);
double bf16_value(std::uint16_t pattern);
std::uint16_t nearest_f16(double value);   // ties to even; NaN is 0x7E00
std::uint16_t nearest_bf16(double value);  // ties to even; NaN is 0x7FC0

// The first word of Philox4x32-10.
std::uint32_t philox_word(std::uint64_t key, std::uint64_t counter);

// A matrix of exact values, NaN and Inf included, and what is to become of it.
struct Job {
  std::vector<double> values;  // rows x cols
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t group_size = 1;
  CodeRule rule;
  std::uint64_t first_index = 0;
  std::uint64_t layer_cols = 0;
  std::optional<Range> range;
  Role scales = Role::kScales;  // kTensorScale: one for all rows
  std::size_t block_bytes = 0;  // of the 32 elements of a block that has its scales in it

  std::size_t groups() const { return cols == 0 ? 1 : (cols + group_size - 1) / group_size; }
  std::size_t scale_rows() const { return scales == Role::kTensorScale ? 1 : rows; }
  std::size_t code_row_bytes() const;
};

struct Result {
  std::vector<std::uint8_t> codes;        // rows x code_row_bytes
  std::vector<float> scales;              // scale_rows x groups
  std::vector<std::uint8_t> zero_points;  // rows x groups
  TileReport report;
};

// Widens a range by the finite values of some columns of a row; all others are reported.
void widen_range(const Job& job, std::size_t row, std::size_t first, std::size_t last, Range& range,
                 TileReport& report);

Result quantize_affine(const Job& job);
Result quantize_int8_rowwise(const Job& job);

// Floats of 8 bits. Codes of their largest exponent are numbers but for those of NaN (E4M3), or
// none (E5M2).
struct Float8 {
  int exponent_bits;
  int mantissa_bits;
  double largest;
};
inline constexpr Float8 kE4M3{4, 3, 448.0};
inline constexpr Float8 kE5M2{5, 2, 57344.0};
double float8_value(const Float8& type, std::uint8_t code);
std::uint8_t nearest_float8(const Float8& type, double value);  // ties to even; NaN is 0

// With one scale for all, of the job's range or of all its values; where the rule is not scaled it
// is 1.
Result quantize_float8(const Float8& type, const Job& job);
std::vector<float> dequantize_float8(const Float8& type, const Result& result);

// ggml's blocks of 32: `levels` above the least code, which count from the least value of the block
// or around 0.
inline constexpr std::size_t kGgmlElements = 32;
struct GgmlBlock {
  std::size_t bytes;
  int levels;
  bool from_least;
};
inline constexpr GgmlBlock kQ80{34, 127, false};
inline constexpr GgmlBlock kQ40{18, 15, false};
inline constexpr GgmlBlock kQ50{22, 31, false};
inline constexpr GgmlBlock kQ41{20, 15, true};
inline constexpr GgmlBlock kQ51{24, 31, true};

Result quantize_ggml(const GgmlBlock& type, const Job& job);
std::vector<float> dequantize_ggml(const GgmlBlock& type, const Job& job, const Result& result);

// (code - zero point) * scale, the codes of `result` read bit by bit.
std::vector<float> dequantize(const Job& job, const Result& result);

}  // namespace quarrow::reference

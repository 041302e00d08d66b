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

  std::size_t groups() const { return cols == 0 ? 1 : (cols + group_size - 1) / group_size; }
  std::size_t code_row_bytes() const;
};

struct Result {
  std::vector<std::uint8_t> codes;        // rows x code_row_bytes
  std::vector<float> scales;              // rows x groups
  std::vector<std::uint8_t> zero_points;  // rows x groups
  TileReport report;
};

Result quantize_affine(const Job& job);
Result quantize_int8_rowwise(const Job& job);

// (code - zero point) * scale, the codes of `result` read bit by bit.
std::vector<float> dequantize(const Job& job, const Result& result);

}  // namespace quarrow::reference

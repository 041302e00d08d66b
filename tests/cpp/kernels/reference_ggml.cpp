// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "reference.h"

namespace quarrow::reference {
namespace {

void put_half(double value, std::vector<std::uint8_t>& bytes) {
  const std::uint16_t half = nearest_f16(value);
  bytes.push_back(static_cast<std::uint8_t>(half & 0xFF));
  bytes.push_back(static_cast<std::uint8_t>(half >> 8));
}

float half_at(const std::uint8_t* bytes) {
  return static_cast<float>(f16_value(static_cast<std::uint16_t>(bytes[0] | bytes[1] << 8)));
}

// The values of a block as f32, NaN as 0; Inf stays.
struct GgmlValues {
  std::vector<float> x;
  float most = 0.0F;   // the first of the largest finite magnitude, with its sign
  float least = 0.0F;  // the first of the least finite ones
  float greatest = 0.0F;
};

GgmlValues ggml_values(const Job& job, std::size_t first) {
  GgmlValues values;
  bool any = false;
  for (std::size_t i = first; i < first + kGgmlElements; ++i) {
    auto x = static_cast<float>(job.values[i]);
    if (std::isfinite(x)) {
      if (std::fabs(x) > std::fabs(values.most)) values.most = x;
      if (!any || x < values.least) values.least = x;
      if (!any || x > values.greatest) values.greatest = x;
      any = true;
    }
    values.x.push_back(std::isnan(x) ? 0.0F : x);
  }
  return values;
}

void put_ggml_block(const GgmlBlock& type, const GgmlValues& values, Result& result) {
  const int middle = (type.levels + 1) / 2;
  const bool is_signed = type.bytes == kQ80.bytes;
  const float d = type.from_least
                      ? (values.greatest - values.least) / static_cast<float>(type.levels)
                  : is_signed ? std::fabs(values.most) / 127.0F
                              : values.most / static_cast<float>(-middle);
  float inverse = d == 0.0F ? 0.0F : 1.0F / d;
  const bool is_lost = !std::isfinite(inverse);
  if (is_lost) inverse = 0.0F;
  std::vector<int> codes;
  for (const float x : values.x) {
    float step = (type.from_least ? x - values.least : x) * inverse;
    if (std::isnan(step)) step = 0.0F;
    if (is_signed) {
      const double rounded = std::round(static_cast<double>(step));
      codes.push_back(static_cast<int>(std::clamp(rounded, -127.0, 127.0)));
      continue;
    }
    const float bias = type.from_least ? 0.5F : is_lost ? 0.0F : static_cast<float>(middle) + 0.5F;
    const float sum = step + bias;
    const double whole = std::trunc(static_cast<double>(sum));
    codes.push_back(static_cast<int>(std::clamp(whole, 0.0, static_cast<double>(type.levels))));
  }
  put_half(static_cast<double>(d), result.codes);
  if (type.from_least) put_half(static_cast<double>(values.least), result.codes);
  if (is_signed) {
    for (const int code : codes) result.codes.push_back(static_cast<std::uint8_t>(code));
    return;
  }
  if (type.levels > 15) {
    for (std::size_t byte = 0; byte < 4; ++byte) {
      unsigned bits = 0;
      for (std::size_t bit = 0; bit < 8; ++bit) {
        bits |= static_cast<unsigned>(codes[8 * byte + bit] >> 4) << bit;
      }
      result.codes.push_back(static_cast<std::uint8_t>(bits));
    }
  }
  for (std::size_t i = 0; i < 16; ++i) {
    result.codes.push_back(static_cast<std::uint8_t>((codes[i] & 15) | (codes[i + 16] & 15) << 4));
  }
}

}  // namespace

Result quantize_ggml(const GgmlBlock& type, const Job& job) {
  Result result;
  Range range;
  for (std::size_t row = 0; row < job.rows; ++row) {
    for (std::size_t col = 0; col < job.cols; col += kGgmlElements) {
      widen_range(job, row, col, col + kGgmlElements, range, result.report);
      const GgmlValues values = ggml_values(job, row * job.cols + col);
      const std::size_t before = result.codes.size();
      put_ggml_block(type, values, result);
      const auto is_infinite = [&](std::size_t at) {
        return (result.codes[before + at] | (result.codes[before + at + 1] & 0x7F) << 8) == 0x7C00;
      };
      if (!result.report.range_overflow &&
          (is_infinite(0) || (type.from_least && is_infinite(2)))) {
        result.report.range_overflow = true;
        result.report.first_overflow = job.first_index + row * job.layer_cols + col;
      }
    }
  }
  return result;
}

std::vector<float> dequantize_ggml(const GgmlBlock& type, const Job& job, const Result& result) {
  std::vector<float> restored;
  const std::uint8_t* block = result.codes.data();
  for (std::size_t i = 0; i < job.rows * job.cols; i += kGgmlElements, block += type.bytes) {
    const float d = half_at(block);
    const std::uint8_t* nibbles = block + type.bytes - 16;
    for (std::size_t j = 0; j < kGgmlElements; ++j) {
      if (type.bytes == kQ80.bytes) {
        restored.push_back(static_cast<float>(static_cast<std::int8_t>(block[2 + j])) * d);
        continue;
      }
      int code = j < 16 ? nibbles[j] & 15 : nibbles[j - 16] >> 4;
      if (type.levels > 15) code |= (nibbles[-4 + static_cast<int>(j / 8)] >> (j % 8) & 1) << 4;
      restored.push_back(type.from_least ? static_cast<float>(code) * d + half_at(block + 2)
                                         : static_cast<float>(code - (type.levels + 1) / 2) * d);
    }
  }
  return restored;
}

}  // namespace quarrow::reference

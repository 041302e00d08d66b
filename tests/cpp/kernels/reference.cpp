// SPDX-License-Identifier: Apache-2.0
#include "reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace quarrow::reference {
namespace {

// A binary format of one sign bit, `exponent_bits` and `mantissa_bits`.
struct Layout {
  int exponent_bits;
  int mantissa_bits;
  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  int top_exponent() const { return (1 << exponent_bits) - 1; }
};
constexpr Layout kF16{5, 10};
constexpr Layout kBF16{8, 7};

double value_of(Layout layout, std::uint16_t pattern) {
  const int exponent = (pattern >> layout.mantissa_bits) & layout.top_exponent();
  const int mantissa = pattern & ((1 << layout.mantissa_bits) - 1);
  const double sign = (pattern & 0x8000) != 0 ? -1.0 : 1.0;
  if (exponent == layout.top_exponent()) {
    return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  }
  const int whole = exponent == 0 ? mantissa : mantissa + (1 << layout.mantissa_bits);
  return sign * std::ldexp(whole, std::max(exponent, 1) - layout.bias() - layout.mantissa_bits);
}

std::uint16_t nearest(Layout layout, double value) {
  const int infinity = layout.top_exponent() << layout.mantissa_bits;
  if (std::isnan(value)) {
    return static_cast<std::uint16_t>(infinity | (1 << (layout.mantissa_bits - 1)));
  }
  const int sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(value);
  if (magnitude == 0) return static_cast<std::uint16_t>(sign);
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  exponent = std::max(exponent - 1, 1 - layout.bias());
  const double steps = std::isinf(magnitude)
                           ? 0.0
                           : std::nearbyint(std::ldexp(magnitude, layout.mantissa_bits - exponent));
  // Steps count from the exponent's own field, so a carry moves into the next exponent by itself.
  const double pattern = steps + std::ldexp(exponent + layout.bias() - 1, layout.mantissa_bits);
  if (std::isinf(magnitude) || pattern >= infinity) {
    return static_cast<std::uint16_t>(sign | infinity);
  }
  return static_cast<std::uint16_t>(sign | static_cast<int>(pattern));
}

float round_to(DType dtype, float value) {
  if (dtype == DType::kF16) return static_cast<float>(f16_value(nearest_f16(value)));
  if (dtype == DType::kBF16) return static_cast<float>(bf16_value(nearest_bf16(value)));
  return value;
}

float clamp_scale(DType dtype, float scale) {
  if (dtype == DType::kF16) return std::clamp(scale, 0x1p-14F, 65504.0F);
  if (dtype == DType::kBF16) return std::clamp(scale, 0x1p-126F, 0x1.FEp127F);
  return std::clamp(scale, std::numeric_limits<float>::min(), std::numeric_limits<float>::max());
}

struct Parameters {
  float scale;
  float inverse;
  int zero_point;  // of unsigned codes
};

Parameters affine_parameters(const CodeRule& rule, const Range& range) {
  const int levels = (1 << rule.bits) - 1;
  float scale = rule.symmetric ? std::max(-range.lo, range.hi) / (static_cast<float>(levels) / 2)
                               : (range.hi - range.lo) / static_cast<float>(levels);
  scale = std::max(scale, 0x1p-126F);
  int zero_point = 1 << (rule.bits - 1);
  if (!rule.symmetric) {
    const double rounded = std::nearbyint(static_cast<double>(range.lo / scale));
    zero_point = static_cast<int>(std::clamp(0.0 - rounded, 0.0, static_cast<double>(levels)));
  }
  scale = clamp_scale(rule.scale_dtype, round_to(rule.scale_dtype, scale));
  return {scale, round_to(rule.scale_dtype, 1.0F / scale), zero_point};
}

Parameters rowwise_parameters(const Range& range) {
  const float largest = std::max(-range.lo, range.hi);
  return {std::max(largest / 127.0F, 1e-30F), 0.0F, 128};
}

// The code, unsigned.
int code_of(float x, const Parameters& parameters, const Job& job, bool divide,
            std::uint64_t index) {
  if (std::isnan(x)) x = 0;
  const float quotient = divide ? x / parameters.scale : x * parameters.inverse;
  double whole = std::nearbyint(static_cast<double>(quotient));
  if (job.rule.stochastic) {
    const float u =
        std::ldexp(static_cast<float>(philox_word(job.rule.random_key, index) >> 8), -24);
    const float sum = quotient + u;
    whole = std::floor(static_cast<double>(sum));
  }
  const double top = (1 << job.rule.bits) - 1;
  return static_cast<int>(std::clamp(whole + parameters.zero_point, 0.0, top));
}

bool packs(const CodeRule& rule) { return rule.packed && rule.bits < 8; }

void put_code(const Job& job, std::size_t row, std::size_t col, int code, Result& result) {
  std::uint8_t* bytes = result.codes.data() + row * job.code_row_bytes();
  const int stored = job.rule.symmetric ? code - (1 << (job.rule.bits - 1)) : code;
  if (!packs(job.rule)) {
    bytes[col] = static_cast<std::uint8_t>(stored);
    return;
  }
  const auto bits = static_cast<std::size_t>(job.rule.bits);
  for (std::size_t bit = 0; bit < bits; ++bit) {
    const std::size_t position = col * bits + bit;
    if (((stored >> bit) & 1) != 0) {
      bytes[position / 8] = static_cast<std::uint8_t>(bytes[position / 8] | 1U << (position % 8));
    }
  }
}

// The stored code as a number, signed where the format is.
int get_code(const Job& job, std::size_t row, std::size_t col, const Result& result) {
  const std::uint8_t* bytes = result.codes.data() + row * job.code_row_bytes();
  if (!packs(job.rule)) {
    return job.rule.symmetric ? static_cast<std::int8_t>(bytes[col]) : bytes[col];
  }
  const auto bits = static_cast<std::size_t>(job.rule.bits);
  int code = 0;
  for (std::size_t bit = 0; bit < bits; ++bit) {
    const std::size_t position = col * bits + bit;
    if (((bytes[position / 8] >> (position % 8)) & 1) != 0) code += 1 << bit;
  }
  const int half = 1 << (bits - 1);
  return job.rule.symmetric && code >= half ? code - 2 * half : code;
}

void note_non_finite(float x, std::uint64_t index, TileReport& report) {
  if (report.non_finite++ != 0) return;
  report.first_non_finite = index;
  report.kind = std::isnan(x) ? NonFiniteKind::kNaN
                : x > 0       ? NonFiniteKind::kPositiveInf
                              : NonFiniteKind::kNegativeInf;
}

void note_beyond_f32(double value, std::uint64_t index, TileReport& report) {
  if (report.beyond_f32++ != 0) return;
  report.first_beyond_f32 = index;
  report.value_beyond_f32 = value;
}

template <typename MakeParameters>
Result quantize(const Job& job, bool divide, bool can_overflow, MakeParameters make) {
  Result result;
  result.codes.assign(job.rows * job.code_row_bytes(), 0);
  for (std::size_t row = 0; row < job.rows; ++row) {
    for (std::size_t group = 0; group < job.groups(); ++group) {
      const std::size_t first = group * job.group_size;
      const std::size_t last = std::min(first + job.group_size, job.cols);
      const std::uint64_t row_index = job.first_index + row * job.layer_cols;
      Range range = job.range.value_or(Range{});
      if (!job.range) widen_range(job, row, first, last, range, result.report);
      if (can_overflow && !job.range && !result.report.range_overflow &&
          !std::isfinite(range.hi - range.lo)) {
        result.report.range_overflow = true;
        result.report.first_overflow = row_index + first;
      }
      const Parameters parameters = make(range);
      result.scales.push_back(parameters.scale);
      result.zero_points.push_back(static_cast<std::uint8_t>(parameters.zero_point));
      for (std::size_t col = first; col < last; ++col) {
        const auto x = static_cast<float>(job.values[row * job.cols + col]);
        put_code(job, row, col, code_of(x, parameters, job, divide, row_index + col), result);
      }
    }
  }
  return result;
}

}  // namespace

void widen_range(const Job& job, std::size_t row, std::size_t first, std::size_t last, Range& range,
                 TileReport& report) {
  const std::uint64_t row_index = job.first_index + row * job.layer_cols;
  for (std::size_t col = first; col < last; ++col) {
    const double exact = job.values[row * job.cols + col];
    const auto x = static_cast<float>(exact);
    if (std::isfinite(exact) && !std::isfinite(x)) {
      note_beyond_f32(exact, row_index + col, report);
    } else if (!std::isfinite(x)) {
      note_non_finite(x, row_index + col, report);
    } else {
      range.lo = std::min(range.lo, x);
      range.hi = std::max(range.hi, x);
    }
  }
}

double f16_value(std::uint16_t pattern) { return value_of(kF16, pattern); }
double bf16_value(std::uint16_t pattern) { return value_of(kBF16, pattern); }
std::uint16_t nearest_f16(double value) { return nearest(kF16, value); }
std::uint16_t nearest_bf16(double value) { return nearest(kBF16, value); }

std::uint32_t philox_word(std::uint64_t key, std::uint64_t counter) {
  std::uint64_t c[4] = {counter & 0xFFFFFFFF, counter >> 32, 0, 0};
  std::uint64_t k[2] = {key & 0xFFFFFFFF, key >> 32};
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = 0xD2511F53ULL * c[0];
    const std::uint64_t b = 0xCD9E8D57ULL * c[2];
    const std::uint64_t next[4] = {(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1],
                                   a & 0xFFFFFFFF};
    std::copy(std::begin(next), std::end(next), std::begin(c));
    k[0] = (k[0] + 0x9E3779B9ULL) & 0xFFFFFFFF;
    k[1] = (k[1] + 0xBB67AE85ULL) & 0xFFFFFFFF;
  }
  return static_cast<std::uint32_t>(c[0]);
}

std::size_t Job::code_row_bytes() const {
  if (block_bytes != 0) return cols / kGgmlElements * block_bytes;
  if (!packs(rule)) return cols;
  return (cols * static_cast<std::size_t>(rule.bits) + 7) / 8;
}

Result quantize_affine(const Job& job) {
  return quantize(job, /*divide=*/false, /*can_overflow=*/!job.rule.symmetric,
                  [&](const Range& range) { return affine_parameters(job.rule, range); });
}

Result quantize_int8_rowwise(const Job& job) {
  return quantize(job, /*divide=*/true, /*can_overflow=*/false, rowwise_parameters);
}

double float8_value(const Float8& type, std::uint8_t code) {
  const int magnitude = code & 0x7F;
  const int bias = (1 << (type.exponent_bits - 1)) - 1;
  const int exponent = magnitude >> type.mantissa_bits;
  const int mantissa = magnitude & ((1 << type.mantissa_bits) - 1);
  const int whole = exponent == 0 ? mantissa : mantissa + (1 << type.mantissa_bits);
  const double value = std::ldexp(whole, std::max(exponent, 1) - bias - type.mantissa_bits);
  const double sign = code >= 0x80 ? -1.0 : 1.0;
  if (value <= type.largest) return sign * value;
  const bool infinite = type.exponent_bits == 5 && mantissa == 0;
  return infinite ? sign * std::numeric_limits<double>::infinity()
                  : std::numeric_limits<double>::quiet_NaN();
}

std::uint8_t nearest_float8(const Float8& type, double value) {
  if (std::isnan(value)) return 0;
  const double magnitude = std::min(std::fabs(value), type.largest);
  int best = 0;
  for (int code = 1; code < 0x80; ++code) {
    const double candidate = float8_value(type, static_cast<std::uint8_t>(code));
    if (!std::isfinite(candidate)) break;
    const double distance = std::fabs(candidate - magnitude);
    const double shortest =
        std::fabs(float8_value(type, static_cast<std::uint8_t>(best)) - magnitude);
    if (distance < shortest || (distance == shortest && code % 2 == 0)) best = code;
  }
  return static_cast<std::uint8_t>(best | (std::signbit(value) ? 0x80 : 0));
}

Result quantize_float8(const Float8& type, const Job& job) {
  Result result;
  Range range;
  for (std::size_t row = 0; row < job.rows; ++row) {
    widen_range(job, row, 0, job.cols, range, result.report);
  }
  if (job.range) {
    range = *job.range;
    result.report = {};
  }
  const float reach = std::max(-range.lo, range.hi);
  const float scale = !job.rule.scaled || reach == 0.0F
                          ? 1.0F
                          : std::max(reach / static_cast<float>(type.largest), 0x1p-126F);
  const float inverse = 1.0F / scale;
  for (const double value : job.values) {
    const float quotient = static_cast<float>(value) * inverse;
    result.codes.push_back(nearest_float8(type, static_cast<double>(quotient)));
  }
  if (job.rule.scaled) result.scales.push_back(scale);
  return result;
}

std::vector<float> dequantize_float8(const Float8& type, const Result& result) {
  const float scale = result.scales.empty() ? 1.0F : result.scales[0];
  std::vector<float> values;
  for (const std::uint8_t code : result.codes) {
    values.push_back(static_cast<float>(float8_value(type, code)) * scale);
  }
  return values;
}

std::vector<float> dequantize(const Job& job, const Result& result) {
  std::vector<float> values;
  for (std::size_t row = 0; row < job.rows; ++row) {
    for (std::size_t col = 0; col < job.cols; ++col) {
      const std::size_t at = row * job.groups() + col / job.group_size;
      const int zero_point = job.rule.symmetric ? 0 : result.zero_points[at];
      const int steps = get_code(job, row, col, result) - zero_point;
      values.push_back(static_cast<float>(steps) * result.scales[at]);
    }
  }
  return values;
}

}  // namespace quarrow::reference

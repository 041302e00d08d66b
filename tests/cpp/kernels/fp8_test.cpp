// SPDX-License-Identifier: Apache-2.0
#include "kernels/fp8.h"

#include <bit>
#include <cstring>

#include "test_values.h"

namespace quarrow {
namespace {

struct Format8 {
  reference::Float8 type;
  const FormatKernels& (*kernels)(Target) noexcept;
};
constexpr std::array kFormats{Format8{reference::kE4M3, fp8_e4m3_kernels},
                              Format8{reference::kE5M2, fp8_e5m2_kernels}};

constexpr CodeRule kScaled{.bits = 8, .symmetric = true};
constexpr CodeRule kCast{.bits = 8, .symmetric = true, .scaled = false};

// Of a tensor, whose range is known unless it is one row.
reference::Job of_tensor(reference::Job job) {
  job.scales = Role::kTensorScale;
  job.group_size = std::max<std::size_t>(job.cols, 1);
  if (job.rule.scaled && job.rows > 1) {
    Range range;
    for (const double value : job.values) {
      const auto x = static_cast<float>(value);
      if (!std::isfinite(x)) continue;
      range.lo = std::min(range.lo, x);
      range.hi = std::max(range.hi, x);
    }
    job.range = range;
  }
  return job;
}

class Fp8 : public EachTarget {
 protected:
  void check(const Format8& format, const reference::Job& given, const InputLayout& layout) const {
    const reference::Job job = of_tensor(given);
    SCOPED_TRACE(describe(job, layout));
    const FormatKernels& kernels = format.kernels(target());
    ASSERT_EQ(kernels.target_name, name_of(target()));
    expect_same(run_quantize(kernels, job, layout), reference::quantize_float8(format.type, job),
                job);
  }
};
QUARROW_FOR_EACH_TARGET(Fp8);

TEST_P(Fp8, EveryKindOfValuesAndNumberOfColumns) {
  std::mt19937 random(1);
  for (const Format8& format : kFormats) {
    for (const CodeRule& rule : {kScaled, kCast}) {
      for (const DType dtype : kAllDTypes) {
        for (const Values kind : kAllValues) {
          for (std::size_t cols = 1; cols <= 131; cols += kind == Values::kNormal ? 3 : 13) {
            const std::size_t rows = 1 + cols % 3;
            check(format, make_job(kind, dtype, rows, cols, cols, rule, random),
                  {dtype, cols % 4, cols % 3, cols % 2 == 0});
            if (HasFailure()) return;
          }
        }
        check(format, make_job(Values::kNormal, dtype, 2, 12345, 12345, rule, random),
              {.dtype = dtype});
      }
    }
  }
}

// Each code, the middles between neighbours, and what lies next to them.
TEST_P(Fp8, RoundsToTheNearestCodeAndTiesToTheEvenOne) {
  for (const Format8& format : kFormats) {
    reference::Job job;
    const auto add = [&job](double value) {
      const auto x = static_cast<float>(value);
      for (const float near : {std::nextafter(x, -1e30F), x, std::nextafter(x, 1e30F)}) {
        job.values.push_back(static_cast<double>(near));
        job.values.push_back(-static_cast<double>(near));
      }
    };
    for (int code = 0; code < 0x7F; ++code) {
      const double value = reference::float8_value(format.type, static_cast<std::uint8_t>(code));
      const double next = reference::float8_value(format.type, static_cast<std::uint8_t>(code + 1));
      if (!std::isfinite(value)) continue;
      add(value);
      if (std::isfinite(next)) add((value + next) / 2);
    }
    add(format.type.largest * 1.03);
    add(format.type.largest * 1.07);
    add(1e30);
    job.rows = 1;
    job.cols = job.layer_cols = job.values.size();
    job.rule = kCast;
    check(format, job, {});
  }
}

TEST_P(Fp8, EveryPatternOfTheNarrowTypesSaturating) {
  for (const Format8& format : kFormats) {
    for (const CodeRule& rule : {kScaled, kCast}) {
      for (const DType dtype : {DType::kF16, DType::kBF16}) {
        reference::Job job;
        for (std::size_t i = 0; i < 65536; ++i) {
          const auto pattern = static_cast<std::uint16_t>(i * 40503);  // odd: every pattern once
          job.values.push_back(dtype == DType::kF16 ? reference::f16_value(pattern)
                                                    : reference::bf16_value(pattern));
        }
        job.rows = 64;
        job.cols = job.layer_cols = 1024;
        job.rule = rule;
        job.rule.saturate = true;
        check(format, job, {.dtype = dtype});
      }
    }
  }
}

TEST_P(Fp8, NonFiniteValuesAreCountedWhereTheyAre) {
  std::mt19937 random(3);
  for (const Format8& format : kFormats) {
    for (const CodeRule& rule : {kScaled, kCast}) {
      for (const DType dtype : kAllDTypes) {
        for (std::size_t at = 0; at < 150; at += 7) {
          reference::Job job = make_job(Values::kNormal, dtype, 1, 150, 150, rule, random);
          job.values[at] = at % 2 == 0 ? std::nan("") : -std::numeric_limits<double>::infinity();
          job = of_tensor(job);
          const auto actual = run_quantize(format.kernels(target()), job, {.dtype = dtype});
          ASSERT_EQ(actual.report, reference::quantize_float8(format.type, job).report) << at;
        }
      }
    }
  }
}

TEST_P(Fp8, ZerosHaveTheScaleOneAndEmptyTensorsToo) {
  for (const Format8& format : kFormats) {
    reference::Job zeros;
    zeros.rows = 1;
    zeros.cols = zeros.layer_cols = 70;
    zeros.values.resize(70);
    zeros.rule = kScaled;
    const auto made = run_quantize(format.kernels(target()), of_tensor(zeros), {});
    EXPECT_EQ(made.scales, std::vector<float>{1.0F});
    EXPECT_EQ(made.codes, std::vector<std::uint8_t>(70, 0));
    reference::Job empty;
    empty.rows = 1;
    empty.rule = kScaled;
    check(format, empty, {});
  }
}

TEST_P(Fp8, EveryCodeIsRestored) {
  for (const Format8& format : kFormats) {
    for (const float scale : {1.0F, 0.37F, 0x1p-126F, 3e33F}) {
      reference::Job job;
      reference::Result stored;
      for (int code = 0; code < 256; ++code) {
        stored.codes.push_back(static_cast<std::uint8_t>(code));
      }
      stored.codes.resize(256 + 13, 0x38);  // no whole number of vectors
      job.rows = 1;
      job.cols = stored.codes.size();
      job.scales = Role::kTensorScale;
      job.rule = scale == 1.0F ? kCast : kScaled;
      if (job.rule.scaled) stored.scales.push_back(scale);
      const std::vector<float> expected = reference::dequantize_float8(format.type, stored);
      for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
        const auto bytes = run_dequantize(format.kernels(target()), job, stored, dtype);
        for (std::size_t i = 0; i < expected.size(); ++i) {
          std::uint32_t actual = 0;
          std::memcpy(&actual, bytes.data() + i * size_of(dtype), size_of(dtype));
          if (std::isnan(expected[i])) {
            const auto pattern = static_cast<std::uint16_t>(actual);
            const double value = dtype == DType::kF32
                                     ? static_cast<double>(std::bit_cast<float>(actual))
                                 : dtype == DType::kF16 ? reference::f16_value(pattern)
                                                        : reference::bf16_value(pattern);
            ASSERT_TRUE(std::isnan(value)) << i;
            continue;
          }
          const std::uint32_t wanted =
              dtype == DType::kF32   ? std::bit_cast<std::uint32_t>(expected[i])
              : dtype == DType::kF16 ? reference::nearest_f16(static_cast<double>(expected[i]))
                                     : reference::nearest_bf16(static_cast<double>(expected[i]));
          ASSERT_EQ(actual, wanted) << "code " << i << ", scale " << scale;
        }
      }
    }
  }
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "kernels/ggml_blocks.h"

#include <bit>
#include <cstring>

#include "test_values.h"

namespace quarrow {
namespace {

struct BlockFormat {
  reference::GgmlBlock type;
  const FormatKernels& (*kernels)(Target) noexcept;
};
constexpr std::array kFormats{
    BlockFormat{reference::kQ80, q8_0_kernels}, BlockFormat{reference::kQ40, q4_0_kernels},
    BlockFormat{reference::kQ41, q4_1_kernels}, BlockFormat{reference::kQ50, q5_0_kernels},
    BlockFormat{reference::kQ51, q5_1_kernels}};

constexpr CodeRule kRule{.bits = 8, .symmetric = true};

reference::Job of_blocks(const BlockFormat& format, reference::Job job) {
  job.block_bytes = format.type.bytes;
  job.group_size = 32;
  return job;
}

class GgmlBlocks : public EachTarget {
 protected:
  void check(const BlockFormat& format, const reference::Job& given,
             const InputLayout& layout) const {
    const reference::Job job = of_blocks(format, given);
    SCOPED_TRACE(describe(job, layout));
    const FormatKernels& kernels = format.kernels(target());
    ASSERT_EQ(kernels.target_name, name_of(target()));
    const reference::Result expected = reference::quantize_ggml(format.type, job);
    const reference::Result stored = run_quantize(kernels, job, layout);
    expect_same(stored, expected, job);
    if (HasFailure()) return;
    const std::vector<float> values = reference::dequantize_ggml(format.type, job, stored);
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
      const auto bytes = run_dequantize(kernels, job, stored, dtype);
      for (std::size_t i = 0; i < values.size(); ++i) {
        std::uint32_t actual = 0;
        std::memcpy(&actual, bytes.data() + i * size_of(dtype), size_of(dtype));
        const auto exact = static_cast<double>(values[i]);
        if (std::isnan(exact)) continue;  // of a scale that is Inf, which is reported
        const std::uint32_t wanted = dtype == DType::kF32 ? std::bit_cast<std::uint32_t>(values[i])
                                     : dtype == DType::kF16 ? reference::nearest_f16(exact)
                                                            : reference::nearest_bf16(exact);
        ASSERT_EQ(actual, wanted) << name_of(dtype) << " at " << i;
      }
    }
  }
};
QUARROW_FOR_EACH_TARGET(GgmlBlocks);

TEST_P(GgmlBlocks, EveryKindOfValuesAndNumberOfBlocks) {
  std::mt19937 random(1);
  for (const BlockFormat& format : kFormats) {
    for (const DType dtype : kAllDTypes) {
      for (const Values kind : kAllValues) {
        if (kind == Values::kLargest && dtype != DType::kF16) continue;  // its scales overflow
        for (const std::size_t blocks : {1U, 2U, 3U, 15U, 16U, 17U, 64U, 130U}) {
          check(format, make_job(kind, dtype, 3, 32 * blocks, 32, kRule, random),
                {dtype, blocks % 4, blocks % 3, blocks % 2 == 0});
          if (HasFailure()) return;
        }
      }
    }
  }
}

TEST_P(GgmlBlocks, RowsThatFollowEachOtherAreOne) {
  std::mt19937 random(2);
  for (const BlockFormat& format : kFormats) {
    reference::Job job = make_job(Values::kNormal, DType::kF32, 70, 32, 32, kRule, random);
    job.layer_cols = job.cols;
    check(format, job, {});
  }
}

TEST_P(GgmlBlocks, BothSignsOfOneMagnitudeTakeTheFirstOne) {
  std::mt19937 random(3);
  for (const BlockFormat& format : kFormats) {
    reference::Job job = make_job(Values::kUniform, DType::kF32, 2, 32 * 40, 32, kRule, random);
    for (double& value : job.values) value = value < 0 ? -0.75 : 0.75;
    check(format, job, {});
  }
}

TEST_P(GgmlBlocks, TheFirstOfTwoZerosIsTheLeastValue) {
  for (const BlockFormat& format : kFormats) {
    reference::Job job;
    job.rows = 1;
    job.cols = job.layer_cols = 32 * 20;
    job.rule = kRule;
    for (std::size_t i = 0; i < job.cols; ++i) {
      job.values.push_back(i % 3 == 0 ? (i / 32 % 2 == 0 ? -0.0 : 0.0) : i % 3 == 1 ? 0.0 : 0.5);
    }
    check(format, job, {});
  }
}

TEST_P(GgmlBlocks, EveryPatternOfTheNarrowTypesSaturating) {
  for (const BlockFormat& format : kFormats) {
    for (const DType dtype : {DType::kF16, DType::kBF16}) {
      reference::Job job;
      for (std::size_t i = 0; i < 65536; ++i) {
        // Of one exponent: a block of all magnitudes would have no code but one.
        const auto pattern = static_cast<std::uint16_t>(i);
        const double value =
            dtype == DType::kF16 ? reference::f16_value(pattern) : reference::bf16_value(pattern);
        job.values.push_back(value);
      }
      job.rows = 64;
      job.cols = job.layer_cols = 1024;
      job.rule = kRule;
      job.rule.saturate = true;
      check(format, job, {.dtype = dtype});
    }
  }
}

TEST_P(GgmlBlocks, WhatIsNotFiniteAndScalesBeyondAHalfAreReported) {
  std::mt19937 random(4);
  for (const BlockFormat& format : kFormats) {
    for (std::size_t at = 0; at < 2 * 640; at += 97) {
      reference::Job job = make_job(Values::kNormal, DType::kF32, 2, 640, 32, kRule, random);
      job.values[at] = at % 2 == 0 ? std::nan("") : -std::numeric_limits<double>::infinity();
      job.values[(at + 333) % job.values.size()] = 9e6;
      job = of_blocks(format, job);
      const auto actual = run_quantize(format.kernels(target()), job, {});
      ASSERT_EQ(actual.report, reference::quantize_ggml(format.type, job).report) << at;
      ASSERT_TRUE(actual.report.range_overflow);
    }
  }
}

}  // namespace
}  // namespace quarrow

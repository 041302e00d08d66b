// SPDX-License-Identifier: Apache-2.0
#include "kernels/int8_rowwise.h"

#include "test_values.h"

namespace quarrow {
namespace {

constexpr CodeRule kRule{.bits = 8, .symmetric = true};

class Int8Rowwise : public EachTarget {
 protected:
  void check(reference::Job job, const InputLayout& layout) const {
    SCOPED_TRACE(describe(job, layout));
    const FormatKernels& kernels = int8_rowwise_kernels(target());
    ASSERT_EQ(kernels.target_name, name_of(target()));
    expect_same(run_quantize(kernels, job, layout), reference::quantize_int8_rowwise(job), job);
  }
};
QUARROW_FOR_EACH_TARGET(Int8Rowwise);

TEST_P(Int8Rowwise, EveryKindOfValuesAndNumberOfColumns) {
  std::mt19937 random(1);
  for (const DType dtype : kAllDTypes) {
    for (const Values kind : kAllValues) {
      for (std::size_t cols = 1; cols <= 131; cols += kind == Values::kNormal ? 1 : 13) {
        check(make_job(kind, dtype, 3, cols, cols, kRule, random),
              {dtype, cols % 4, cols % 3, cols % 2 == 0});
        if (HasFailure()) return;
      }
    }
    check(make_job(Values::kNormal, dtype, 2, 12345, 12345, kRule, random), {.dtype = dtype});
  }
}

// The quotients that a reciprocal gets wrong lie next to the middle between two codes.
TEST_P(Int8Rowwise, QuotientsNextToTheMiddleRoundAsTrueDivisionDoes) {
  std::mt19937 random(2);
  std::uniform_real_distribution<float> significand(1.0F, 2.0F);
  std::uniform_int_distribution<int> exponent(-96, 120);
  for (int repeat = 0; repeat < 200; ++repeat) {
    const float largest = std::ldexp(significand(random), repeat < 4 ? -100 : exponent(random));
    const float scale = std::max(largest / 127.0F, 1e-30F);
    reference::Job job;
    job.rows = 1;
    job.group_size = 2000;
    job.rule = kRule;
    job.values.push_back(static_cast<double>(largest));
    for (int code = 0; code < 127; ++code) {
      float x = (static_cast<float>(code) + 0.5F) * scale;
      for (int i = 0; i < 3; ++i) x = std::nextafter(x, 0.0F);
      for (int i = 0; i < 7; ++i) {
        if (x <= largest) job.values.push_back(static_cast<double>(code % 2 == 0 ? x : -x));
        x = std::nextafter(x, std::numeric_limits<float>::infinity());
      }
    }
    job.cols = job.values.size();
    check(job, {});
    job.values.resize(1024);  // whole steps
    job.cols = job.layer_cols = job.values.size();
    check(job, {});
    if (HasFailure()) return;
  }
}

TEST_P(Int8Rowwise, ManyRowsOfWholeSteps) {
  std::mt19937 random(5);
  for (const DType dtype : kAllDTypes) {
    for (const std::size_t cols : {8U, 16U, 32U, 64U, 320U, 4096U}) {
      for (const Values kind : {Values::kNormal, Values::kTies}) {
        reference::Job job = make_job(kind, dtype, 8192 / cols + 3, cols, cols, kRule, random);
        job.layer_cols = cols;
        check(job, {.dtype = dtype});
        if (HasFailure()) return;
      }
    }
  }
}

TEST_P(Int8Rowwise, EveryPatternOfTheNarrowTypesSaturating) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    reference::Job job;
    for (std::size_t i = 0; i < 65536; ++i) {
      const auto pattern = static_cast<std::uint16_t>(i * 40503);  // odd: every pattern once
      job.values.push_back(dtype == DType::kF16 ? reference::f16_value(pattern)
                                                : reference::bf16_value(pattern));
    }
    job.rows = 64;
    job.cols = 1024;
    job.layer_cols = 1024;
    job.group_size = 1024;
    job.rule = kRule;
    job.rule.saturate = true;
    check(job, {.dtype = dtype});
  }
}

TEST_P(Int8Rowwise, NonFiniteValuesAreCountedWhereTheyAre) {
  std::mt19937 random(3);
  for (const DType dtype : kAllDTypes) {
    for (std::size_t at = 0; at < 150; ++at) {
      reference::Job job = make_job(Values::kNormal, dtype, 2, 75, 75, kRule, random);
      job.values[at] = at % 2 == 0 ? std::nan("") : -std::numeric_limits<double>::infinity();
      const auto actual = run_quantize(int8_rowwise_kernels(target()), job, {.dtype = dtype});
      ASSERT_EQ(actual.report, reference::quantize_int8_rowwise(job).report) << at;
    }
  }
}

TEST_P(Int8Rowwise, PiecesOfARowAndEmptyRows) {
  std::mt19937 random(4);
  reference::Job piece = make_job(Values::kUniform, DType::kBF16, 1, 75, 75, kRule, random);
  piece.range = Range{-3.0F, 2.0F};
  check(piece, {.dtype = DType::kBF16});
  reference::Job empty;
  empty.rows = 2;
  empty.rule = kRule;
  check(empty, {});
}

}  // namespace
}  // namespace quarrow

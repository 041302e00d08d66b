// SPDX-License-Identifier: Apache-2.0
#include "kernels/affine.h"

#include <algorithm>

#include "test_values.h"

namespace quarrow {
namespace {

class Affine : public EachTarget {
 protected:
  void check(const reference::Job& job, const InputLayout& layout) const {
    SCOPED_TRACE(describe(job, layout));
    const FormatKernels& kernels = affine_kernels(target());
    ASSERT_EQ(kernels.target_name, name_of(target()));
    expect_same(run_quantize(kernels, job, layout), reference::quantize_affine(job), job);
  }
};
QUARROW_FOR_EACH_TARGET(Affine);

TEST_P(Affine, EveryRuleOnEveryKindOfValues) {
  std::mt19937 random(1);
  for (const CodeRule& rule : affine_rules()) {
    for (const DType dtype : kAllDTypes) {
      for (const Values kind : kAllValues) {
        check(make_job(kind, dtype, 2, 150, 64, rule, random), {.dtype = dtype});
        if (HasFailure()) return;
      }
    }
  }
}

TEST_P(Affine, EveryNumberOfColumnsAroundTheVectors) {
  std::mt19937 random(2);
  for (const int bits : {8, 4, 2}) {
    for (const DType dtype : kAllDTypes) {
      for (std::size_t cols = 1; cols <= 131; ++cols) {
        const CodeRule rule{.bits = bits, .symmetric = cols % 2 == 0, .packed = true};
        const InputLayout layout{dtype, cols % 4, cols % 3, cols % 5 == 0};
        check(make_job(Values::kNormal, dtype, 3, cols, cols, rule, random), layout);
        check(make_job(Values::kNormal, dtype, 3, cols, 32, rule, random), layout);
        if (HasFailure()) return;
      }
    }
  }
}

TEST_P(Affine, AnyGroupSizeEvenWhereGroupsShareAByte) {
  std::mt19937 random(3);
  for (const int bits : {8, 4, 2}) {
    for (const bool symmetric : {false, true}) {
      for (const std::size_t group : {1U, 2U, 3U, 5U, 7U, 31U, 33U, 63U, 65U, 127U, 129U, 4099U}) {
        const CodeRule rule{.bits = bits, .symmetric = symmetric, .packed = true};
        for (const std::size_t cols : {group, 3 * group + 1, std::size_t{301}}) {
          check(make_job(Values::kNormal, DType::kF32, 2, cols, group, rule, random),
                {.dtype = DType::kF32, .slack = 1});
          if (HasFailure()) return;
        }
      }
    }
  }
}

TEST_P(Affine, LongRowsAndManyGroups) {
  std::mt19937 random(4);
  for (const DType dtype : kAllDTypes) {
    for (const int bits : {8, 4, 2}) {
      for (const std::size_t group : {128U, 20000U}) {
        const CodeRule rule{.bits = bits, .packed = true};
        check(make_job(Values::kNormal, dtype, 2, 12345, group, rule, random), {.dtype = dtype});
      }
    }
  }
}

// Many groups of whole steps are taken at once, from one row or from rows that follow each other.
TEST_P(Affine, ManyGroupsOfWholeStepsInOneRowAndInMany) {
  struct Shape {
    std::size_t rows;
    std::size_t groups;
    std::size_t rest;
  };
  std::mt19937 random(12);
  const CodeRule packed{.bits = 4, .packed = true};
  const CodeRule saturating{.bits = 2, .packed = true, .saturate = true};
  const CodeRule whole_bytes{.bits = 8, .symmetric = true};
  const CodeRule stochastic{.bits = 4, .stochastic = true, .random_key = 77};
  for (const DType dtype : kAllDTypes) {
    for (const std::size_t group : {8U, 16U, 32U, 64U, 192U}) {
      for (const auto [rows, groups, rest] :
           {Shape{1, 147, 0}, Shape{1, 83, 5}, Shape{7, 9, 0}, Shape{3, 81, 0}, Shape{2, 70, 8}}) {
        for (const CodeRule& rule : {packed, saturating, whole_bytes, stochastic}) {
          const std::size_t cols = groups * group + rest;
          reference::Job job = make_job(Values::kNormal, dtype, rows, cols, group, rule, random);
          job.layer_cols = cols;
          if (rule.saturate) job.values[random() % job.values.size()] = std::nan("");
          check(job,
                {.dtype = dtype, .slack = groups % 2, .row_padding = groups % 9 == 0 ? 4U : 0});
          job.values.back() = std::nan("");
          job.rule.saturate = true;
          check(job, {.dtype = dtype});
          if (HasFailure()) return;
        }
      }
    }
  }
}

TEST_P(Affine, EveryPatternOfTheNarrowTypesSaturating) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    for (const bool symmetric : {false, true}) {
      reference::Job job;
      for (std::size_t i = 0; i < 65536; ++i) {
        const auto pattern = static_cast<std::uint16_t>(i * 40503);  // odd: every pattern once
        job.values.push_back(dtype == DType::kF16 ? reference::f16_value(pattern)
                                                  : reference::bf16_value(pattern));
      }
      job.rows = 64;
      job.cols = 1024;
      job.layer_cols = 1024;
      job.group_size = 128;
      job.rule = {.bits = 4, .symmetric = symmetric, .packed = true, .saturate = true};
      reference::Result expected = reference::quantize_affine(job);
      const reference::Result actual =
          run_quantize(affine_kernels(target()), job, {.dtype = dtype});
      if (!expected.report.range_overflow) {
        expect_same(actual, expected, job);
        continue;
      }
      // bf16 spans f32: the outputs of groups whose hi - lo overflows are unspecified.
      EXPECT_EQ(actual.report, expected.report);
      for (std::size_t group = 0; group < expected.scales.size(); ++group) {
        if (std::isinf(expected.scales[group]) || expected.scales[group] >= 1e36F) continue;
        EXPECT_EQ(actual.scales[group], expected.scales[group]);
        EXPECT_TRUE(std::equal(actual.codes.begin() + static_cast<std::ptrdiff_t>(group * 64),
                               actual.codes.begin() + static_cast<std::ptrdiff_t>(group * 64 + 64),
                               expected.codes.begin() + static_cast<std::ptrdiff_t>(group * 64)));
      }
    }
  }
}

TEST_P(Affine, ScalesAtTheEdgesOfTheirDType) {
  std::mt19937 random(5);
  for (const CodeRule& rule : affine_rules()) {
    for (const double factor :
         {0x1p-149, 0x1p-130, 0x1p-127, 0x1p-126, 0x1p-125, 0x1p-24, 0x1p-15, 0x1p-10, 0x1p15,
          0x1p16, 0x1p18, 0x1p23, 0x1p40, 0x1p41, 0x1p100, 0x1p126}) {
      reference::Job job = make_job(Values::kUniform, DType::kF64, 4, 70, 35, rule, random);
      for (double& value : job.values) value *= factor;
      check(job, {.dtype = DType::kF64});
      if (HasFailure()) return;
    }
  }
}

TEST_P(Affine, NonFiniteValuesAreCountedWhereTheyAre) {
  std::mt19937 random(6);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (const DType dtype : kAllDTypes) {
    for (const double bad : {kInf, -kInf, std::nan(""), -std::nan("")}) {
      for (std::size_t at = 0; at < 150; ++at) {
        reference::Job job = make_job(Values::kNormal, dtype, 2, 75, 33, {.bits = 4}, random);
        job.values[at] = bad;
        job.values[149] = kInf;
        const auto actual = run_quantize(affine_kernels(target()), job, {.dtype = dtype});
        ASSERT_EQ(actual.report, reference::quantize_affine(job).report)
            << name_of(dtype) << " " << bad << " at " << at;
      }
    }
  }
}

TEST_P(Affine, ADoubleBeyondF32IsCountedApart) {
  std::mt19937 random(7);
  reference::Job job = make_job(Values::kNormal, DType::kF64, 1, 75, 75, {.bits = 4}, random);
  job.values[30] = -1e39;
  const auto actual = run_quantize(affine_kernels(target()), job, {.dtype = DType::kF64});
  EXPECT_EQ(actual.report.non_finite, 0U);
  EXPECT_EQ(actual.report.beyond_f32, 1U);
  EXPECT_EQ(actual.report.first_beyond_f32, 1030U);
  EXPECT_EQ(actual.report.value_beyond_f32, -1e39);
}

TEST_P(Affine, SaturatingTakesTheEndCodesAndTheRangeOfTheRest) {
  std::mt19937 random(8);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (CodeRule rule : affine_rules()) {
    rule.saturate = true;
    for (const DType dtype : kAllDTypes) {
      reference::Job job = make_job(Values::kNormal, dtype, 2, 150, 50, rule, random);
      for (const double bad : {kInf, -kInf, std::nan("")}) {
        for (int i = 0; i < 9; ++i) job.values[random() % 250] = bad;
      }
      std::fill_n(job.values.begin() + 250, 50, std::nan(""));  // a group without a finite value
      check(job, {.dtype = dtype});
      if (HasFailure()) return;
    }
  }
}

TEST_P(Affine, ARangeBeyondF32IsReportedWhereItsGroupStarts) {
  std::mt19937 random(9);
  const double most = largest_of(DType::kF32);
  for (const bool symmetric : {false, true}) {
    const CodeRule rule{.bits = 4, .symmetric = symmetric};
    reference::Job job = make_job(Values::kNormal, DType::kF32, 2, 96, 32, rule, random);
    job.values[96 + 40] = most;
    job.values[96 + 41] = -most;
    job.values[96 + 70] = most;
    job.values[96 + 71] = -most;
    const auto actual = run_quantize(affine_kernels(target()), job, {});
    EXPECT_EQ(actual.report.range_overflow, !symmetric);
    EXPECT_EQ(actual.report, reference::quantize_affine(job).report);
  }
}

TEST_P(Affine, StochasticRoundingFollowsPhiloxAtTheFlatIndex) {
  std::mt19937 random(10);
  for (CodeRule rule : affine_rules()) {
    rule.stochastic = true;
    rule.random_key = 0x0123456789ABCDEFULL * (random() | 1U);
    for (const Values kind : {Values::kNormal, Values::kTies, Values::kOutlier}) {
      reference::Job job = make_job(kind, DType::kF32, 3, 150, 64, rule, random);
      job.first_index = 0xFFFFFFFFULL - 40;  // the low half of the counter overflows on the way
      check(job, {.dtype = DType::kF32});
      if (HasFailure()) return;
    }
  }
}

TEST(Philox, IsThePublishedGenerator) { EXPECT_EQ(reference::philox_word(0, 0), 0x6627E8D5U); }

TEST_P(Affine, APieceOfASpanUsesTheRangeGiven) {
  std::mt19937 random(11);
  for (CodeRule rule : affine_rules()) {
    for (const bool saturate : {false, true}) {
      rule.saturate = saturate;
      reference::Job job = make_job(Values::kUniform, DType::kF32, 3, 75, 75, rule, random);
      if (saturate) {
        job.values[3] = std::nan("");
        job.values[4] = -std::numeric_limits<double>::infinity();
        job.values[5] = std::numeric_limits<double>::infinity();
      }
      job.range = Range{-1.5F, 2.5F};
      check(job, {.dtype = DType::kF32});
      if (HasFailure()) return;
    }
  }
}

TEST_P(Affine, NullScalesAreNotWritten) {
  const std::vector<float> values(100, 1.0F);
  std::vector<std::uint8_t> codes(100);
  const Range range{0.0F, 1.0F};
  TileReport report;
  EncodeTile tile{.input = {.data = reinterpret_cast<const std::byte*>(values.data()),
                            .rows = 1,
                            .cols = 100,
                            .layer_cols = 100},
                  .group_size = 100,
                  .rule = {.bits = 8},
                  .range = &range,
                  .parts = {}};
  tile.parts[Role::kCodes] = {reinterpret_cast<std::byte*>(codes.data()), 100};
  affine_kernels(target()).encode(tile, report);
  EXPECT_EQ(codes, std::vector<std::uint8_t>(100, 255));
}

TEST_P(Affine, RowsWithoutColumnsHaveTheScaleOfZeros) {
  for (const CodeRule& rule : affine_rules()) {
    reference::Job job;
    job.rows = 3;
    job.rule = rule;
    check(job, {.dtype = DType::kF16});
  }
}

TEST_P(Affine, RestoredValuesAreWithinHalfAScale) {
  std::mt19937 random(12);
  for (const int bits : {8, 4, 2}) {
    const CodeRule rule{.bits = bits, .packed = true};
    const reference::Job job = make_job(Values::kNormal, DType::kF32, 4, 1000, 100, rule, random);
    const auto stored = run_quantize(affine_kernels(target()), job, {});
    const auto restored = reference::dequantize(job, stored);
    for (std::size_t i = 0; i < restored.size(); ++i) {
      const std::size_t group = i / 1000 * 10 + i % 1000 / 100;
      const auto scale = static_cast<double>(stored.scales[group]);
      const double lowest = -scale * stored.zero_points[group];
      const double highest = lowest + scale * ((1 << bits) - 1);
      const double clamped = std::clamp(job.values[i], lowest, highest);
      ASSERT_LE(std::fabs(clamped - static_cast<double>(restored[i])), (0.5 + 0x1p-10) * scale);
    }
  }
}

}  // namespace
}  // namespace quarrow

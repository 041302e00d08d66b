// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cstring>

#include "kernels/affine.h"
#include "kernels/int8_rowwise.h"
#include "test_values.h"

namespace quarrow {
namespace {

class Dequantize : public EachTarget {
 protected:
  void check(const FormatKernels& kernels, const reference::Job& job,
             const reference::Result& stored) const {
    ASSERT_EQ(kernels.target_name, name_of(target()));
    const std::vector<float> values = reference::dequantize(job, stored);
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
      SCOPED_TRACE(describe(job, {.dtype = dtype}));
      const auto bytes = run_dequantize(kernels, job, stored, dtype);
      ASSERT_EQ(bytes.size(), values.size() * size_of(dtype));
      for (std::size_t i = 0; i < values.size(); ++i) expect_value(bytes, i, dtype, values[i]);
      if (HasFailure()) return;
    }
  }

 private:
  static void expect_value(const std::vector<std::uint8_t>& bytes, std::size_t i, DType dtype,
                           float expected) {
    std::uint32_t actual = 0;
    std::memcpy(&actual, bytes.data() + i * size_of(dtype), size_of(dtype));
    if (dtype == DType::kF32) {
      ASSERT_EQ(actual, std::bit_cast<std::uint32_t>(expected)) << "at " << i;
      return;
    }
    const bool is_f16 = dtype == DType::kF16;
    if (std::isnan(expected)) {
      const auto pattern = static_cast<std::uint16_t>(actual);
      const double value = is_f16 ? reference::f16_value(pattern) : reference::bf16_value(pattern);
      ASSERT_TRUE(std::isnan(value)) << "at " << i;
      return;
    }
    const std::uint16_t nearest =
        is_f16 ? reference::nearest_f16(expected) : reference::nearest_bf16(expected);
    ASSERT_EQ(actual, nearest) << expected << " at " << i;
  }
};
QUARROW_FOR_EACH_TARGET(Dequantize);

TEST_P(Dequantize, EveryRuleAndNumberOfColumns) {
  std::mt19937 random(1);
  for (const CodeRule& rule : affine_rules()) {
    if (rule.scale_dtype != DType::kF32) continue;
    for (std::size_t cols = 0; cols <= 140; ++cols) {
      const std::size_t group = 1 + random() % 70;
      const auto job = make_job(Values::kNormal, DType::kF32, 2, cols, group, rule, random);
      check(affine_kernels(target()), job, reference::quantize_affine(job));
      if (HasFailure()) return;
    }
    const auto job = make_job(Values::kNormal, DType::kF32, 2, 9001, 999, rule, random);
    check(affine_kernels(target()), job, reference::quantize_affine(job));
  }
}

TEST_P(Dequantize, Int8Rowwise) {
  std::mt19937 random(2);
  for (const std::size_t cols : {1U, 75U, 5000U}) {
    const auto job = make_job(Values::kNormal, DType::kF32, 3, cols, cols,
                              {.bits = 8, .symmetric = true}, random);
    check(int8_rowwise_kernels(target()), job, reference::quantize_int8_rowwise(job));
  }
}

// With code 1, zero point 0 and a scale of its own, each output is its scale, rounded.
class RoundingJob {
 public:
  void add(float value) {
    stored_.codes.push_back(1);
    stored_.scales.push_back(value);
    stored_.zero_points.push_back(0);
  }
  void add_with_neighbours(double value) {
    const auto middle = static_cast<float>(value);
    add(middle);
    add(std::nextafter(middle, -std::numeric_limits<float>::infinity()));
    add(std::nextafter(middle, std::numeric_limits<float>::infinity()));
  }
  reference::Job job() const {
    reference::Job job;
    job.rows = 1;
    job.cols = stored_.codes.size();
    job.values.resize(job.cols);
    job.rule = {.bits = 8};
    return job;
  }
  const reference::Result& stored() const { return stored_; }

 private:
  reference::Result stored_;
};

TEST_P(Dequantize, RoundsToEveryNarrowPatternAndBetweenThem) {
  RoundingJob rounding;
  for (std::size_t i = 0; i < 65536; ++i) {
    const auto pattern = static_cast<std::uint16_t>(i);
    const auto next = static_cast<std::uint16_t>(i + 1);
    const double f16 = reference::f16_value(pattern);
    const double bf16 = reference::bf16_value(pattern);
    rounding.add(static_cast<float>(f16));
    rounding.add(static_cast<float>(bf16));
    rounding.add_with_neighbours((f16 + reference::f16_value(next)) / 2);
    rounding.add_with_neighbours((bf16 + reference::bf16_value(next)) / 2);
  }
  rounding.add_with_neighbours(65520.0);
  rounding.add_with_neighbours(0x1.FFp127);
  rounding.add_with_neighbours(0x1p-25);
  rounding.add_with_neighbours(0x1p-149);
  check(affine_kernels(target()), rounding.job(), rounding.stored());
}

}  // namespace
}  // namespace quarrow

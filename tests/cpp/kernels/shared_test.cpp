// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cstring>

#include "guarded_buffer.h"
#include "test_values.h"

namespace quarrow {
namespace {

class Decode : public EachTarget {
 protected:
  std::vector<float> decode(DType dtype, const std::vector<std::uint8_t>& bytes,
                            std::size_t slack = 0) const {
    GuardedBuffer input(bytes.size(), slack, 0xFF);
    std::copy(bytes.begin(), bytes.end(), input.data());
    const std::size_t count = bytes.size() / size_of(dtype);
    GuardedBuffer output(count * sizeof(float), 0, 0xA5);
    const SharedKernels& kernels = shared_kernels(target());
    EXPECT_EQ(kernels.target_name, name_of(target()));
    kernels.to_f32(reinterpret_cast<const std::byte*>(input.data()), dtype, count,
                   reinterpret_cast<float*>(output.data()));
    EXPECT_TRUE(output.surroundings_untouched());
    std::vector<float> values(count);
    if (count != 0) std::memcpy(values.data(), output.data(), output.size());
    return values;
  }
};
QUARROW_FOR_EACH_TARGET(Decode);

template <typename T>
std::vector<std::uint8_t> bytes_of(const std::vector<T>& values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<std::uint16_t> all_patterns() {
  std::vector<std::uint16_t> patterns(65536);
  for (std::size_t i = 0; i < patterns.size(); ++i) patterns[i] = static_cast<std::uint16_t>(i);
  return patterns;
}

TEST_P(Decode, EveryPatternOfTheNarrowTypes) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    const std::vector<float> values = decode(dtype, bytes_of(all_patterns()), 1);
    ASSERT_EQ(values.size(), 65536U);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto pattern = static_cast<std::uint16_t>(i);
      const auto expected = static_cast<float>(
          dtype == DType::kF16 ? reference::f16_value(pattern) : reference::bf16_value(pattern));
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(values[i])) << name_of(dtype) << " pattern " << i;
      } else {
        ASSERT_EQ(values[i], expected) << name_of(dtype) << " pattern " << i;
        ASSERT_EQ(std::signbit(values[i]), std::signbit(expected)) << "pattern " << i;
      }
    }
  }
}

TEST_P(Decode, DoublesRoundToNearestEvenAndOverflowToInfinity) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const std::vector<double> doubles{
      1.0 + 0x1p-24, 1.0 + 0x1.8p-23,       0x1p-150,       0x1.8p-149, -0.0,  1e39,
      -1e300,        0x1.FFFFFEFFFFFFFp127, 0x1.FFFFFFp127, kInf,       -kInf, std::nan("")};
  for (std::size_t count = 0; count <= doubles.size(); ++count) {
    const std::vector<double> some(doubles.begin(),
                                   doubles.begin() + static_cast<std::ptrdiff_t>(count));
    const std::vector<float> values = decode(DType::kF64, bytes_of(some), 3);
    for (std::size_t i = 0; i < count; ++i) {
      const auto expected = static_cast<float>(some[i]);
      EXPECT_TRUE(values[i] == expected || (std::isnan(values[i]) && std::isnan(expected)))
          << some[i] << " became " << values[i];
    }
  }
}

TEST_P(Decode, AnyLengthAndAlignment) {
  std::mt19937 random(1);
  for (const DType dtype : kAllDTypes) {
    for (std::size_t count = 0; count <= 70; ++count) {
      const auto doubles = make_values(Values::kNormal, dtype, count, random);
      std::vector<std::uint8_t> bytes;
      std::vector<float> expected;
      for (const double value : doubles) {
        std::vector<std::uint8_t> one;
        if (dtype == DType::kF32) one = bytes_of(std::vector<float>{static_cast<float>(value)});
        if (dtype == DType::kF64) one = bytes_of(std::vector<double>{value});
        if (dtype == DType::kF16) {
          one = bytes_of(std::vector<std::uint16_t>{reference::nearest_f16(value)});
        }
        if (dtype == DType::kBF16) {
          one = bytes_of(std::vector<std::uint16_t>{reference::nearest_bf16(value)});
        }
        bytes.insert(bytes.end(), one.begin(), one.end());
        expected.push_back(static_cast<float>(value));
      }
      EXPECT_EQ(decode(dtype, bytes, count % 4), expected) << name_of(dtype) << " " << count;
    }
  }
}

class Encode : public EachTarget {
 protected:
  std::vector<std::uint8_t> encode(const std::vector<float>& values, DType dtype) const {
    GuardedBuffer input(values.size() * sizeof(float), 0, 0xFF);
    std::copy(values.begin(), values.end(), reinterpret_cast<float*>(input.data()));
    GuardedBuffer output(values.size() * size_of(dtype), 1, 0xA5);
    shared_kernels(target()).from_f32(reinterpret_cast<const float*>(input.data()), values.size(),
                                      dtype, reinterpret_cast<std::byte*>(output.data()));
    EXPECT_TRUE(output.surroundings_untouched());
    return {output.data(), output.data() + output.size()};
  }
};
QUARROW_FOR_EACH_TARGET(Encode);

TEST_P(Encode, EveryNanStaysOne) {
  std::vector<float> values;
  for (const std::uint32_t bits : {0x7FFFFFFFU, 0xFFFFFFFFU, 0x7F800001U, 0xFF800001U, 0x7FC00000U,
                                   0x7F808000U, 0x7FFF8000U, 0xFFFF7FFFU}) {
    values.push_back(std::bit_cast<float>(bits));
  }
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    const std::vector<std::uint8_t> bytes = encode(values, dtype);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto pattern = static_cast<std::uint16_t>(bytes[2 * i] | bytes[2 * i + 1] << 8);
      EXPECT_TRUE(std::isnan(dtype == DType::kF16 ? reference::f16_value(pattern)
                                                  : reference::bf16_value(pattern)));
    }
  }
}

TEST_P(Encode, RoundsEachValueToNearestEvenAtAnyLength) {
  std::mt19937 random(9);
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const std::vector<float> edges{0.0F,     -0.0F,       65519.0F,    65520.0F,    -65520.0F,
                                 0x1p-24F, 0x1p-25F,    0x1p-26F,    kInf,        -kInf,
                                 1.0F,     0x1.FEp127F, 0x1.FFp127F, 1.00390625F, 1.01171875F};
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (std::size_t count = 0; count <= 70; ++count) {
      std::vector<float> values;
      for (const double value : make_values(Values::kNormal, DType::kF32, count, random)) {
        values.push_back(static_cast<float>(value));
      }
      for (std::size_t i = 0; i < std::min(count, edges.size()); ++i)
        values[count - 1 - i] = edges[i];
      std::vector<std::uint8_t> expected;
      for (const float value : values) {
        std::vector<std::uint8_t> one = bytes_of(std::vector<float>{value});
        if (dtype == DType::kF16) one = bytes_of(std::vector{reference::nearest_f16(value)});
        if (dtype == DType::kBF16) one = bytes_of(std::vector{reference::nearest_bf16(value)});
        expected.insert(expected.end(), one.begin(), one.end());
      }
      ASSERT_EQ(encode(values, dtype), expected) << name_of(dtype) << " " << count;
    }
  }
}

TEST_P(Encode, NaNStaysNaN) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    const std::vector<std::uint8_t> bytes = encode({std::nanf(""), -std::nanf("1")}, dtype);
    for (std::size_t i = 0; i < 2; ++i) {
      std::uint16_t pattern = 0;
      std::memcpy(&pattern, bytes.data() + 2 * i, 2);
      const double value =
          dtype == DType::kF16 ? reference::f16_value(pattern) : reference::bf16_value(pattern);
      EXPECT_TRUE(std::isnan(value));
    }
  }
}

class RangeKernel : public EachTarget {};
QUARROW_FOR_EACH_TARGET(RangeKernel);

// The range of the finite values, and the report, found one by one.
RangeResult expected_range(const reference::Job& job) {
  reference::Job whole_rows = job;
  whole_rows.group_size = std::max<std::size_t>(job.cols, 1);
  whole_rows.rule = {.bits = 8, .symmetric = true};
  RangeResult expected{.range = {}, .report = reference::quantize_affine(whole_rows).report};
  for (const double value : job.values) {
    const auto x = static_cast<float>(value);
    if (!std::isfinite(x)) continue;
    expected.range.lo = std::min(expected.range.lo, x);
    expected.range.hi = std::max(expected.range.hi, x);
  }
  return expected;
}

TEST_P(RangeKernel, IsThatOfTheFiniteValues) {
  std::mt19937 random(2);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (const DType dtype : kAllDTypes) {
    for (const Values kind : kAllValues) {
      for (std::size_t cols = 1; cols <= 67; ++cols) {
        reference::Job job = make_job(kind, dtype, 3, cols, cols, {}, random);
        for (const bool with_infinities : {false, true}) {
          if (with_infinities) {
            job.values[random() % job.values.size()] = -kInf;
            job.values[random() % job.values.size()] = std::nan("");
            job.values[random() % job.values.size()] = kInf;
            if (dtype == DType::kF64) job.values[random() % job.values.size()] = -1e300;
          }
          const InputLayout layout{dtype, cols % 3, cols % 5, cols % 2 == 0};
          const RangeResult actual = run_range(target(), job, layout);
          const RangeResult expected = expected_range(job);
          SCOPED_TRACE(describe(job, layout));
          ASSERT_EQ(actual.range.lo, expected.range.lo);
          ASSERT_EQ(actual.range.hi, expected.range.hi);
          ASSERT_FALSE(std::signbit(actual.range.hi));
          ASSERT_EQ(actual.report, expected.report);
        }
      }
    }
  }
}

TEST_P(RangeKernel, OfNothingIsZero) {
  for (const auto& [rows, cols] : {std::pair{0, 5}, std::pair{4, 0}}) {
    reference::Job job;
    job.rows = static_cast<std::size_t>(rows);
    job.cols = static_cast<std::size_t>(cols);
    const RangeResult actual = run_range(target(), job, {});
    EXPECT_EQ(actual.range.lo, 0.0F);
    EXPECT_EQ(actual.range.hi, 0.0F);
    EXPECT_EQ(actual.report.non_finite, 0U);
  }
}

class ErrorKernel : public EachTarget {};
QUARROW_FOR_EACH_TARGET(ErrorKernel);

// Pair by pair.
ErrorLanes expected_errors(const std::vector<float>& originals,
                           const std::vector<float>& restored) {
  ErrorLanes lanes;
  for (std::size_t i = 0; i < originals.size(); ++i) {
    if (!std::isfinite(originals[i])) continue;
    const std::size_t lane = i % ErrorLanes::kCount;
    const auto x = static_cast<double>(originals[i]);
    const auto y = static_cast<double>(restored[i]);
    const double error = std::abs(x - y);
    lanes.max_abs[lane] = std::max(lanes.max_abs[lane], error);
    lanes.squared_error[lane] += error * error;
    lanes.squared_original[lane] += x * x;
    lanes.squared_restored[lane] += y * y;
    lanes.product[lane] += x * y;
    lanes.count[lane] += 1;
  }
  return lanes;
}

TEST_P(ErrorKernel, IsThatOfEachPairBitByBit) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (std::size_t count = 0; count <= 67; ++count) {
    std::vector<float> originals(count);
    std::vector<float> restored(count);
    for (float& value : originals) value = normal(random);
    for (float& value : restored) value = normal(random);
    for (std::size_t i = 0; i < count; i += 11) originals[i] = i % 2 == 0 ? std::nanf("") : -kInf;
    if (count > 20) originals[20] = std::numeric_limits<float>::max();
    GuardedBuffer x(count * sizeof(float), 0, 0xFF);
    GuardedBuffer y(count * sizeof(float), 0, 0xFF);
    std::copy(originals.begin(), originals.end(), reinterpret_cast<float*>(x.data()));
    std::copy(restored.begin(), restored.end(), reinterpret_cast<float*>(y.data()));
    ErrorLanes lanes;
    shared_kernels(target()).add_errors(reinterpret_cast<const float*>(x.data()),
                                        reinterpret_cast<const float*>(y.data()), count, lanes);
    const ErrorLanes expected = expected_errors(originals, restored);
    ASSERT_EQ(std::memcmp(&lanes, &expected, sizeof lanes), 0) << count << " pairs";
  }
}

}  // namespace
}  // namespace quarrow

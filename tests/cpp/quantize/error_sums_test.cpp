// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "quarrow/quantize/execute.h"

namespace quarrow {
namespace {

TEST(ErrorSums, FiguresOfExactAndEmptyComparisons) {
  const ErrorSums none;
  EXPECT_EQ(none.rmse(), 0.0);
  EXPECT_EQ(none.cosine(), 1.0);
  EXPECT_EQ(none.sqnr_db(), std::numeric_limits<double>::infinity());
  const ErrorSums lost{.max_abs = 1, .squared_error = 4, .squared_original = 4, .count = 4};
  EXPECT_EQ(lost.rmse(), 1.0);
  EXPECT_EQ(lost.sqnr_db(), 0.0);
  EXPECT_EQ(lost.cosine(), 0.0);
}

TEST(ErrorSums, FiguresOfAnOrdinaryComparison) {
  const ErrorSums sums{.max_abs = 0.5,
                       .squared_error = 1,
                       .squared_original = 100,
                       .squared_restored = 25,
                       .product = 40,
                       .count = 4};
  EXPECT_EQ(sums.rmse(), 0.5);
  EXPECT_EQ(sums.sqnr_db(), 20.0);
  EXPECT_EQ(sums.cosine(), 0.8);
}

TEST(ErrorSums, NoiseWithoutASignalHasNoRatio) {
  const ErrorSums sums{.max_abs = 1, .squared_error = 4, .squared_restored = 4, .count = 4};
  EXPECT_TRUE(std::isnan(sums.sqnr_db()));
  EXPECT_EQ(sums.cosine(), 0.0);
}

TEST(ErrorSums, TheLargestOfTwoStays) {
  ErrorSums sums{.max_abs = 2, .squared_error = 4, .count = 1};
  sums.add({.max_abs = 1, .squared_error = 1, .count = 1});
  EXPECT_EQ(sums.max_abs, 2.0);
  EXPECT_EQ(sums.squared_error, 5.0);
  EXPECT_EQ(sums.count, 2U);
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "quarrow/core/tensor_view.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "quarrow/core/status.h"

namespace quarrow {
namespace {

TensorView view(const std::vector<std::int64_t>& shape, DType dtype = DType::kF32) {
  return matrix_view(nullptr, dtype, shape);
}

TEST(MatrixView, RowsAreTheFirstDimensionAndColumnsTheRest) {
  const TensorView conv = view({320, 4, 3, 3}, DType::kBF16);
  EXPECT_EQ(conv.rows, 320U);
  EXPECT_EQ(conv.cols, 36U);
  EXPECT_EQ(conv.row_stride_bytes, 72);
  EXPECT_EQ(conv.bytes(), 320U * 72U);
}

TEST(MatrixView, OneDimensionIsOneRow) {
  EXPECT_EQ(view({7}).rows, 1U);
  EXPECT_EQ(view({7}).cols, 7U);
}

TEST(MatrixView, NoDimensionIsOneElement) { EXPECT_EQ(view({}).elements(), 1U); }

TEST(MatrixView, ZeroSizesAreValid) {
  EXPECT_EQ(view({0, 5}).rows, 0U);
  EXPECT_EQ(view({5, 0}).cols, 0U);
  EXPECT_EQ(view({0}).elements(), 0U);
}

TEST(MatrixView, AnOverflowIsRefusedAlsoBesideZeroInAnyOrder) {
  constexpr std::int64_t kHuge = std::int64_t{1} << 40;
  for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{kHuge, kHuge},
                                                 {0, kHuge, kHuge},
                                                 {kHuge, kHuge, 0},
                                                 {kHuge, 0, kHuge},
                                                 {std::numeric_limits<std::int64_t>::max()}}) {
    try {
      view(shape);
      FAIL() << "accepted";
    } catch (const StatusError& error) {
      EXPECT_EQ(error.status().code, StatusCode::kSizeOverflow);
    }
  }
}

TEST(MatrixView, SoManyDimensionsAndNoMore) {
  EXPECT_EQ(view(std::vector<std::int64_t>(kMaxDimensions, 1)).elements(), 1U);
  for (const std::size_t dimensions : {kMaxDimensions + 1, std::size_t{500}}) {
    try {
      view(std::vector<std::int64_t>(dimensions, 1));
      FAIL() << "accepted";
    } catch (const StatusError& error) {
      EXPECT_EQ(error.status().code, StatusCode::kTooManyDimensions);
      EXPECT_EQ(error.status().count, dimensions);
    }
  }
}

TEST(MatrixView, TheLargestSizeThatFits) {
  EXPECT_EQ(view({(std::int64_t{1} << 61) - 1}).cols, (std::uint64_t{1} << 61) - 1);
}

TEST(DTypes, NamesGoBothWays) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kF64}) {
    EXPECT_EQ(dtype_from_name(name_of(dtype)), dtype);
  }
  EXPECT_FALSE(dtype_from_name("float"));
}

}  // namespace
}  // namespace quarrow

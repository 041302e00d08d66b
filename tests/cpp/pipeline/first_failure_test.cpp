// SPDX-License-Identifier: Apache-2.0
#include "pipeline/first_failure.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace quarrow {
namespace {

TEST(FirstFailure, KeepsTheLowestTileInWhateverOrderTheyFail) {
  FirstFailure failure;
  EXPECT_FALSE(failure.occurred());
  EXPECT_FALSE(failure.is_beyond(1'000'000));
  for (const std::size_t tile : {5U, 3U, 4U}) {
    failure.record(tile, std::make_exception_ptr(std::out_of_range(std::to_string(tile))));
  }
  EXPECT_TRUE(failure.occurred());
  EXPECT_FALSE(failure.is_beyond(2));
  EXPECT_FALSE(failure.is_beyond(3));
  EXPECT_TRUE(failure.is_beyond(4));
  try {
    failure.rethrow();
  } catch (const std::out_of_range& error) {
    EXPECT_STREQ(error.what(), "3");
  }
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "throughput_window.h"

#include <gtest/gtest.h>

namespace quarrow::python {
namespace {

TEST(ThroughputWindow, SixteenCallsComeFirst) {
  ThroughputWindow window;
  for (int call = 0; call < 16; ++call)
    EXPECT_EQ(window.add(call == 15 ? 1.0 : 100.0), std::nullopt);
  EXPECT_EQ(window.add(1.0), 100.0);
}

TEST(ThroughputWindow, GivesTheMedianWhateverTheOrder) {
  ThroughputWindow falling;
  ThroughputWindow rising;
  for (int call = 0; call < 17; ++call) {
    EXPECT_EQ(falling.add(116.0 - call), std::nullopt);
    EXPECT_EQ(rising.add(100.0 + call), std::nullopt);
  }
  EXPECT_EQ(falling.add(26.9), 108.0);
  EXPECT_EQ(rising.add(27.0), std::nullopt);  // a quarter is not below it
  EXPECT_EQ(rising.add(26.9), 108.0);
}

TEST(ThroughputWindow, OnlyTheLatestThirtyTwoCount) {
  ThroughputWindow window;
  for (int call = 0; call < 32; ++call) window.add(1000.0);
  for (int call = 0; call < 16; ++call) window.add(500.0);
  EXPECT_EQ(window.add(200.0), 1000.0);
  for (int call = 0; call < 15; ++call) window.add(500.0);
  EXPECT_EQ(window.add(130.0), std::nullopt);
  EXPECT_EQ(window.add(120.0), 500.0);
}

}  // namespace
}  // namespace quarrow::python

// SPDX-License-Identifier: Apache-2.0
#include "core/complete_context.h"

#include <gtest/gtest.h>

namespace quarrow {
namespace {

TEST(CompleteContext, FillsInWhatWasLeftOpen) {
  Context context;
  EXPECT_EQ(complete(context), StatusCode::kOk);
  EXPECT_EQ(context.executor, &default_executor());
  EXPECT_EQ(context.target, *default_target());
  EXPECT_EQ(context.threads, available_cpus());
  EXPECT_EQ(context.poll, nullptr);
}

TEST(CompleteContext, LeavesWhatWasChosen) {
  const Target last = runnable_targets().back();
  Context context{.executor = &plain_executor(), .target = last, .threads = 3};
  EXPECT_EQ(complete(context), StatusCode::kOk);
  EXPECT_EQ(context.executor, &plain_executor());
  EXPECT_EQ(context.target, last);
  EXPECT_EQ(context.threads, 3U);
}

}  // namespace
}  // namespace quarrow

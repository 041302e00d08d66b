// SPDX-License-Identifier: Apache-2.0
#include "quarrow/quantize/execute.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "test_batch.h"

namespace quarrow {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(Execute, TheBitsDoNotDependOnThreadsExecutorOrTarget) {
  Batch batch = mixed_batch();
  const std::vector<Stored> expected = batch.run(context(1));
  ASSERT_TRUE(batch.status().ok());
  for (const std::size_t threads : {1U, 2U, 3U, 4U}) {
    for (Executor* executor : {&default_executor(), &plain_executor()}) {
      for (const Target target : runnable_targets()) {
        Context other = context(threads, *executor);
        other.target = target;
        SCOPED_TRACE(std::string(name_of(target)) + " " + std::string(executor->name()));
        EXPECT_EQ(batch.run(other), expected);
      }
    }
  }
}

TEST(Execute, ALayerInABatchEqualsTheLayerAlone) {
  Batch batch = mixed_batch();
  const std::vector<Stored> together = batch.run(context(2));
  const Plan plan = batch.plan();
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    Batch alone;
    alone.add(plan.layers[i].format, plan.layers[i].rows, plan.layers[i].cols, unsigned(i + 1));
    EXPECT_EQ(alone.run(context(1))[0], together[i]) << "layer " << i;
  }
}

TEST(Execute, OneScaleForATensorEqualsOneLongRow) {
  Batch tensor;
  tensor.add(format("int8", GroupSize::tensor()), 700, 333, 9);
  Batch row;
  row.add(format("int8", GroupSize::row()), 1, 700 * 333, 9);
  EXPECT_EQ(tensor.run(context(2)), row.run(context(2)));
}

TEST(Execute, OneScaleForATensorLooksAtNothingBetweenItsRows) {
  constexpr std::uint64_t kCols = 333;
  Batch whole;
  whole.add(format("int4", GroupSize::tensor()), 700, kCols, 9);
  // The same rows, with an outlier behind each.
  std::vector<float> values;
  for (std::size_t row = 0; row < 700; ++row) {
    const auto begin = whole.values(0).begin() + static_cast<std::ptrdiff_t>(row * kCols);
    values.insert(values.end(), begin, begin + kCols);
    values.push_back(1.0e6F);
  }
  TensorView view = whole.views()[0];
  view.data = values.data();
  view.row_stride_bytes = (kCols + 1) * sizeof(float);
  const Plan plan = whole.plan();
  const Stored expected = whole.run(context(2))[0];
  Stored stored = expected;
  std::ranges::fill(stored.codes, 0xAA);
  stored.scales = {-1.0F};
  const QuantizedSpan span = stored.span();
  Status status;
  EXPECT_TRUE(
      quantize(plan, {&view, 1}, {&span, 1}, NonFinitePolicy::kRaise, context(2), {&status, 1})
          .ok());
  EXPECT_EQ(stored, expected);
}

TEST(Execute, NonFiniteValuesAreCountedOverAllTilesAndOtherLayersStayRight) {
  Batch clean = mixed_batch();
  const std::vector<Stored> expected = clean.run(context(2));
  for (std::size_t layer = 0; layer < 6; ++layer) {
    Batch batch = mixed_batch();
    std::vector<float>& values = batch.values(layer);
    const std::size_t last = values.size() - 1;
    values[last / 2] = -kInf;
    values[last] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<Stored> stored = batch.run(context(2));
    const Status status = batch.status();
    EXPECT_EQ(status.code, StatusCode::kNonFinite);
    EXPECT_EQ(status.layer, layer);
    EXPECT_EQ(status.position, last / 2);
    EXPECT_EQ(status.count, 2U);
    EXPECT_EQ(status.kind, NonFiniteKind::kNegativeInf);
    for (std::size_t i = 0; i < stored.size(); ++i) {
      if (i == layer) continue;
      EXPECT_EQ(stored[i], expected[i]) << i;
    }
  }
}

TEST(Execute, TheFirstFailingLayerIsReportedAtAnyThreadCount) {
  for (const std::size_t threads : {1U, 2U, 4U}) {
    Batch batch = mixed_batch();
    batch.values(1)[0] = kInf;
    batch.values(3)[0] = kInf;
    batch.run(context(threads));
    EXPECT_EQ(batch.status().layer, 1U);
    EXPECT_EQ(batch.statuses()[3].code, StatusCode::kNonFinite);
    EXPECT_TRUE(batch.statuses()[0].ok());
  }
}

TEST(Execute, SaturatingTakesTheRangeOfTheFiniteValuesAcrossTiles) {
  constexpr std::uint64_t kColumns = kTileBytes / sizeof(float) * 2;
  Batch batch;
  batch.add(format("int8", GroupSize::row()), 1, kColumns, 1);
  batch.values(0)[10] = 0.0F;
  const Stored expected = batch.run(context(2))[0];
  batch.values(0)[10] = kInf;
  const Stored stored = batch.run(context(2), NonFinitePolicy::kSaturate)[0];
  ASSERT_TRUE(batch.status().ok());
  EXPECT_EQ(stored.scales, expected.scales);
  EXPECT_EQ(stored.zero_points, expected.zero_points);
  EXPECT_EQ(stored.codes[10], 255);
  EXPECT_EQ(stored.codes[11], expected.codes[11]);
}

TEST(Execute, ARangeBeyondFloat32IsReportedWhereItsGroupStarts) {
  const float huge = std::numeric_limits<float>::max();
  constexpr std::uint64_t kColumns = kTileBytes / sizeof(float) * 2;
  const auto position = [&](GroupSize group, std::uint64_t rows, std::uint64_t cols,
                            std::size_t low, std::size_t high) {
    Batch batch;
    batch.add(format("int4", group), rows, cols, 1);
    batch.values(0)[low] = -huge;
    batch.values(0)[high] = huge;
    batch.run(context(2));
    EXPECT_EQ(batch.status().code, StatusCode::kRangeOverflow);
    return batch.status().position;
  };
  EXPECT_EQ(position(GroupSize::of(128), 4, 512, 700, 710), 640U);
  EXPECT_EQ(position(GroupSize::row(), 3, kColumns, kColumns + 5, 2 * kColumns - 1), kColumns);
  EXPECT_EQ(position(GroupSize::tensor(), 4, 512, 3, 2047), 0U);
}

class Stop final : public Poll {
 public:
  bool keep_going() noexcept override { return false; }
};

TEST(Execute, AStoppedJobSaysSoForEveryLayer) {
  Batch batch;
  // Slow enough that the poll is due: random numbers, on the scalar target, by one thread.
  Format random = format("int8", GroupSize::tensor());
  random.rounding = Rounding::kStochastic;
  batch.add(random, 9000, 4000, 1);
  Stop stop;
  Context slow = context(1);
  slow.target = runnable_targets().back();
  slow.poll = &stop;
  for (int round = 0; round < 20 && batch.status().ok(); ++round) batch.run(slow);
  EXPECT_EQ(batch.status().code, StatusCode::kCancelled);
  EXPECT_EQ(batch.statuses()[0].code, StatusCode::kCancelled);
}

class CountingProgress final : public LayerProgress {
 public:
  explicit CountingProgress(std::size_t layers) : counts_(layers) {}
  void finished(std::size_t layer) noexcept override { ++counts_[layer]; }
  std::vector<int> counts() const { return {counts_.begin(), counts_.end()}; }

 private:
  std::vector<std::atomic<int>> counts_;
};

TEST(Execute, EveryLayerFinishesOnceWithoutTilesAndWithAFaultToo) {
  Batch batch = mixed_batch();
  batch.add(format("int4", GroupSize::of(32)), 3, 0, 8);
  batch.values(0)[5] = kInf;
  batch.values(2)[7] = kInf;
  const std::size_t layers = batch.views().size();
  ASSERT_EQ(batch.plan().layers.back().tile_count, 0U);
  for (const std::size_t threads : {1U, 4U}) {
    CountingProgress progress(layers);
    batch.run(context(threads), NonFinitePolicy::kRaise, &progress);
    EXPECT_EQ(progress.counts(), std::vector<int>(layers, 1));
  }
}

// A large layer among small ones must not be left to one thread at the end.
TEST(Execute, TheTilesOfALargeLayerAreSharedByAllThreads) {
  Batch batch;
  for (unsigned i = 0; i < 20; ++i) batch.add(format("int4", GroupSize::of(128)), 2, 256, i);
  batch.add(format("int4", GroupSize::of(128)), 4096, 1024, 99);
  const Plan plan = batch.plan();
  std::size_t most = 0;
  for (const LayerPlan& layer : plan.layers) most = std::max(most, layer.tile_count);
  EXPECT_EQ(plan.layers.back().tile_count, most);
  EXPECT_GE(most, 4096 * 1024 * sizeof(float) / kTileBytes);
  EXPECT_EQ(plan.tiles.size(), most + 20);
}

TEST(Execute, DequantizeAndErrorAgreeWithTheBound) {
  Batch batch = mixed_batch();
  const Plan plan = batch.plan();
  const std::vector<Stored> stored = batch.run(context(2));
  std::vector<QuantizedView> views;
  std::vector<std::vector<float>> restored;
  std::vector<DequantizedSpan> outputs;
  for (std::size_t i = 0; i < stored.size(); ++i) {
    views.push_back(stored[i].view());
    restored.emplace_back(plan.layers[i].elements());
  }
  for (auto& values : restored) outputs.push_back({values.data(), DType::kF32});
  ASSERT_TRUE(dequantize(plan, views, outputs, context(3)).ok());

  std::vector<ErrorSums> one(plan.layers.size());
  std::vector<ErrorSums> four(plan.layers.size());
  ASSERT_TRUE(measure_error(plan, batch.views(), views, one, context(1)).ok());
  ASSERT_TRUE(measure_error(plan, batch.views(), views, four, context(4)).ok());
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    double max_abs = 0;
    double squared = 0;
    for (std::size_t k = 0; k < restored[i].size(); ++k) {
      const double error = std::fabs(double(batch.values(i)[k]) - double(restored[i][k]));
      max_abs = std::max(max_abs, error);
      squared += error * error;
    }
    const float largest_scale =
        stored[i].scales.empty()
            ? 0.0F
            : *std::max_element(stored[i].scales.begin(), stored[i].scales.end());
    EXPECT_LE(max_abs, (0.5 + std::ldexp(1.0, -10)) * double(largest_scale)) << i;
    EXPECT_EQ(one[i].max_abs, max_abs) << i;
    EXPECT_NEAR(one[i].squared_error, squared, 1e-12 + 1e-9 * squared) << i;
    EXPECT_EQ(one[i].count, restored[i].size());
    EXPECT_EQ(std::memcmp(&one[i], &four[i], sizeof(ErrorSums)), 0) << i;
  }
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "quarrow/quantize/execute.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace quarrow {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

struct Stored {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
  std::vector<std::uint8_t> zero_points;

  QuantizedSpan span() { return {codes.data(), scales.data(), zero_points.data()}; }
  QuantizedView view() const { return {codes.data(), scales.data(), zero_points.data()}; }
  friend bool operator==(const Stored&, const Stored&) = default;
};

// Matrices of one batch, with the plan that quantizes them.
class Batch {
 public:
  void add(Format format, std::uint64_t rows, std::uint64_t cols, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0F, 0.02F);
    auto& values = values_.emplace_back(rows * cols);
    for (float& value : values) value = normal(random);
    formats_.push_back(format);
    views_.push_back({.data = values.data(),
                      .dtype = DType::kF32,
                      .rows = rows,
                      .cols = cols,
                      .row_stride_bytes = static_cast<std::ptrdiff_t>(cols * sizeof(float))});
  }

  std::vector<float>& values(std::size_t layer) { return values_[layer]; }
  const std::vector<TensorView>& views() const { return views_; }
  const std::vector<Status>& statuses() const { return statuses_; }

  Plan plan() const {
    std::vector<LayerRequest> requests;
    for (std::size_t i = 0; i < views_.size(); ++i)
      requests.push_back({views_[i], formats_[i], ""});
    return make_plan(requests);
  }

  std::vector<Stored> run(const Context& context, NonFinitePolicy policy = NonFinitePolicy::kRaise,
                          LayerProgress* progress = nullptr) {
    const Plan made = plan();
    std::vector<Stored> stored;
    for (const LayerPlan& layer : made.layers) {
      stored.push_back({std::vector<std::uint8_t>(layer.code_bytes(), 0xAA),
                        std::vector<float>(layer.geometry.scales(), -1.0F),
                        std::vector<std::uint8_t>(layer.geometry.scales(), 0xAA)});
    }
    std::vector<QuantizedSpan> spans;
    for (Stored& one : stored) spans.push_back(one.span());
    statuses_.assign(made.layers.size(), {});
    status_ = quantize(made, views_, spans, policy, context, statuses_, progress);
    return stored;
  }
  Status status() const { return status_; }

 private:
  std::vector<std::vector<float>> values_;
  std::vector<TensorView> views_;
  std::vector<Format> formats_;
  std::vector<Status> statuses_;
  Status status_;
};

Format format(const char* name, GroupSize group) {
  Format format = default_format(*find_format(name));
  format.group_size = group;
  return format;
}

Batch mixed_batch() {
  constexpr std::uint64_t kColumns = kTileBytes / sizeof(float);
  Batch batch;
  batch.add(format("int4", GroupSize::of(128)), 300, 1000, 1);
  batch.add(format("int8", GroupSize::row()), 2, kColumns * 2 + 77, 2);
  batch.add(format("int2", GroupSize::tensor()), 700, 333, 3);
  batch.add(format("int8_rowwise", GroupSize::row()), 5, 64, 4);
  batch.add(format("int4", GroupSize::of(kColumns * 2)), 1, kColumns * 5, 5);
  batch.add(format("int4", GroupSize::of(kColumns + 1)), 1, kColumns * 3, 6);
  batch.add(format("int8", GroupSize::row()), 3, 0, 7);
  return batch;
}

Context context(std::size_t threads, Executor& executor = default_executor()) {
  return {.executor = &executor, .target = runnable_targets().front(), .threads = threads};
}

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

TEST(Execute, WrongCountsAreRefused) {
  Batch batch = mixed_batch();
  std::vector<QuantizedSpan> none;
  std::vector<Status> statuses(batch.views().size());
  EXPECT_EQ(
      quantize(batch.plan(), batch.views(), none, NonFinitePolicy::kRaise, context(1), statuses)
          .code,
      StatusCode::kWrongLayerCount);
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

}  // namespace
}  // namespace quarrow

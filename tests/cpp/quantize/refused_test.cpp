// SPDX-License-Identifier: Apache-2.0
//
// Jobs that are stopped at each of their passes, and those that do not fit their plan.
#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "quarrow/quantize/execute.h"
#include "test_batch.h"

namespace quarrow {
namespace {

// Says of one pass, counted from 0, that the caller stopped it; runs the others.
class StopsAt final : public Executor {
 public:
  explicit StopsAt(int pass) : left_(pass) {}
  std::string_view name() const noexcept override { return "stops"; }
  bool run(std::size_t count, std::size_t threads, Body body, Poll* poll) override {
    return left_-- != 0 && plain_executor().run(count, threads, body, poll);
  }

 private:
  int left_;
};

// What dequantize and measure_error take, of layers that were quantized.
struct Restored {
  explicit Restored(Batch& batch) : plan(batch.plan()), stored(batch.run(context(1))) {
    for (std::size_t i = 0; i < stored.size(); ++i) {
      views.push_back(stored[i].view());
      values.emplace_back(plan.layers[i].elements());
    }
    for (auto& each : values) outputs.push_back({each.data(), DType::kF32});
  }

  Plan plan;
  std::vector<Stored> stored;
  std::vector<QuantizedView> views;
  std::vector<std::vector<float>> values;
  std::vector<DequantizedSpan> outputs;
};

TEST(Stopped, InThePassThatFindsRanges) {
  Batch batch = mixed_batch();
  ASSERT_TRUE(batch.plan().range_pass);
  StopsAt executor(0);
  batch.run(context(1, executor));
  EXPECT_EQ(batch.status().code, StatusCode::kCancelled);
  for (const Status& status : batch.statuses()) EXPECT_EQ(status.code, StatusCode::kCancelled);
}

TEST(Stopped, InThePassThatWritesCodes) {
  Batch batch = mixed_batch();
  StopsAt executor(1);
  batch.run(context(1, executor));
  EXPECT_EQ(batch.status().code, StatusCode::kCancelled);
  StopsAt enough(2);
  batch.run(context(1, enough));
  EXPECT_TRUE(batch.status().ok());
}

TEST(Stopped, WhileRestoringAndWhileMeasuring) {
  Batch batch = mixed_batch();
  const Restored restored(batch);
  StopsAt restoring(0);
  EXPECT_EQ(dequantize(restored.plan, restored.views, restored.outputs, context(1, restoring)).code,
            StatusCode::kCancelled);
  StopsAt measuring(0);
  std::vector<ErrorSums> errors(restored.plan.layers.size());
  EXPECT_EQ(
      measure_error(restored.plan, batch.views(), restored.views, errors, context(1, measuring))
          .code,
      StatusCode::kCancelled);
  for (const ErrorSums& each : errors) EXPECT_EQ(each.count, 0U);
}

TEST(WrongCounts, AreRefusedByEveryJobAndSayHowManyThereMustBe) {
  Batch batch = mixed_batch();
  const Restored restored(batch);
  const std::size_t layers = restored.plan.layers.size();
  const auto refused = [layers](const Status& status) {
    return status.code == StatusCode::kWrongLayerCount && status.count == layers;
  };
  std::vector<QuantizedSpan> spans(layers);
  std::vector<Status> statuses(layers);
  const auto quantize_all = [&](auto inputs, auto outputs, auto told) {
    return quantize(restored.plan, inputs, outputs, NonFinitePolicy::kRaise, context(1), told);
  };
  const std::span all_spans(spans);
  const std::span all_statuses(statuses);
  const std::span views(batch.views());
  EXPECT_TRUE(refused(quantize_all(views.first(1), all_spans, all_statuses)));
  EXPECT_TRUE(refused(quantize_all(views, all_spans.first(1), all_statuses)));
  EXPECT_TRUE(refused(quantize_all(views, all_spans, all_statuses.first(1))));

  const std::span stored(restored.views);
  const std::span outputs(restored.outputs);
  EXPECT_TRUE(refused(dequantize(restored.plan, stored.first(1), outputs, context(1))));
  EXPECT_TRUE(refused(dequantize(restored.plan, stored, outputs.first(1), context(1))));

  std::vector<ErrorSums> errors(layers);
  const std::span sums(errors);
  const auto measure = [&](auto originals, auto quantized, auto figures) {
    return measure_error(restored.plan, originals, quantized, figures, context(1));
  };
  EXPECT_TRUE(refused(measure(views.first(1), stored, sums)));
  EXPECT_TRUE(refused(measure(views, stored.first(1), sums)));
  EXPECT_TRUE(refused(measure(views, stored, sums.first(1))));
}

}  // namespace
}  // namespace quarrow

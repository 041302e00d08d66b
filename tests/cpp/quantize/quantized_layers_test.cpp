// SPDX-License-Identifier: Apache-2.0
#include "quarrow/quantize/quantized_layers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "test_batch.h"

namespace quarrow {
namespace {

std::vector<LayerRequest> requests_of(const Batch& batch) {
  std::vector<LayerRequest> requests;
  const Plan plan = batch.plan();
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    requests.push_back({batch.views()[i], plan.layers[i].format, {}});
  }
  return requests;
}

Stored parts_of(const QuantizedLayers& made, std::size_t layer) {
  const auto copy = [](auto part) { return std::vector(part.begin(), part.end()); };
  Stored parts(made.plan.layers[layer]);
  parts.codes = copy(made.codes(layer));
  parts.scales = copy(made.scales(layer));
  parts.zero_points = copy(made.zero_points(layer));
  return parts;
}

TEST(QuantizedLayers, HoldWhatAJobIntoMemoryOfTheCallerWrites) {
  Batch batch = mixed_batch();
  const std::vector<Stored> expected = batch.run(context(2));
  for (const std::uint64_t own_from :
       {std::uint64_t{0}, std::uint64_t{10'000}, LayerMemory::kOwnFrom, LayerMemory::kOneSlab}) {
    const QuantizedLayers made = quantize_layers(requests_of(batch), {}, {.own_from = own_from});
    ASSERT_TRUE(made.ok());
    ASSERT_EQ(made.size(), expected.size());
    for (std::size_t i = 0; i < made.size(); ++i) {
      EXPECT_EQ(parts_of(made, i), expected[i]) << i;
      EXPECT_EQ(made.plan.layers[i].rows, batch.views()[i].rows);
    }
  }
}

TEST(QuantizedLayers, OutliveTheCallAndShareTheirMemoryWithCopies) {
  Batch batch = mixed_batch();
  QuantizedLayers made = quantize_layers(requests_of(batch));
  const Stored first = parts_of(made, 0);
  const QuantizedLayers copy = made;
  EXPECT_EQ(copy.codes(0).data(), made.codes(0).data());
  const std::shared_ptr<std::byte> owner = made.memory.owner(0);
  made = {};
  EXPECT_EQ(made.size(), 0U);
  EXPECT_EQ(parts_of(copy, 0), first);
  EXPECT_GT(owner.use_count(), 1);
}

TEST(QuantizedLayers, AreWhatTheWayBackTakes) {
  Batch batch = mixed_batch();
  const QuantizedLayers made = quantize_layers(requests_of(batch));
  std::vector<std::vector<float>> values;
  std::vector<DequantizedSpan> outputs;
  for (const LayerPlan& layer : made.plan.layers) {
    auto& each = values.emplace_back(layer.elements());
    outputs.push_back({each.data(), DType::kF32});
  }
  ASSERT_TRUE(dequantize(made.plan, made.views(), outputs, {}).ok());
  std::vector<ErrorSums> errors(made.size());
  ASSERT_TRUE(measure_error(made.plan, batch.views(), made.views(), errors, {}).ok());
  for (std::size_t i = 0; i < made.size(); ++i) {
    double squared = 0;
    for (std::size_t j = 0; j < values[i].size(); ++j) {
      squared += std::pow(double{values[i][j]} - double{batch.values(i)[j]}, 2);
    }
    EXPECT_NEAR(errors[i].squared_error, squared, squared * 1e-6);
  }
}

TEST(QuantizedLayers, AreOneOfOneRequestWhoseNameSeedsItsRandomNumbers) {
  Batch batch;
  Format stochastic = format("int4", GroupSize::of(32));
  stochastic.rounding = Rounding::kStochastic;
  batch.add(stochastic, 16, 64, 1);
  const QuantizedLayers one = quantize_layer({batch.views()[0], stochastic, "a"});
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one.size(), 1U);
  EXPECT_EQ(parts_of(one, 0),
            parts_of(quantize_layer({batch.views()[0], stochastic, "a"}, {.threads = 1}), 0));
  EXPECT_NE(parts_of(one, 0).codes,
            parts_of(quantize_layer({batch.views()[0], stochastic, "b"}), 0).codes);
}

TEST(QuantizedLayers, ALayerThatFailsIsToldOfAndDisturbsNoOther) {
  Batch batch;
  for (const unsigned seed : {1U, 2U, 3U}) batch.add(format("int8", GroupSize::row()), 4, 32, seed);
  const QuantizedLayers sound = quantize_layers(requests_of(batch));
  batch.values(1)[5] = std::numeric_limits<float>::quiet_NaN();
  const QuantizedLayers made = quantize_layers(requests_of(batch));
  EXPECT_FALSE(made.ok());
  EXPECT_EQ(made.status.code, StatusCode::kNonFinite);
  EXPECT_EQ(made.status.layer, 1U);
  EXPECT_EQ(made.status.position, 5U);
  ASSERT_EQ(made.size(), 3U);
  EXPECT_TRUE(made.statuses[0].ok());
  EXPECT_FALSE(made.statuses[1].ok());
  EXPECT_EQ(parts_of(made, 0), parts_of(sound, 0));
  EXPECT_EQ(parts_of(made, 2), parts_of(sound, 2));
  EXPECT_TRUE(quantize_layers(requests_of(batch), {}, {.policy = NonFinitePolicy::kSaturate}).ok());
}

TEST(QuantizedLayers, OfRequestsThatCannotBePlannedAreNoneAndSayWhich) {
  Batch batch;
  batch.add(format("int8", GroupSize::row()), 4, 32, 1);
  batch.add(format("int4", GroupSize::of(8)), 4, 32, 2);
  const auto refused = [&](StatusCode code, auto change) {
    std::vector<LayerRequest> requests = requests_of(batch);
    change(requests[1]);
    const QuantizedLayers made = quantize_layers(requests);
    EXPECT_EQ(name_of(made.status.code), name_of(code));
    EXPECT_EQ(made.status.layer, 1U);
    EXPECT_EQ(made.statuses.size(), made.size());
    for (const Status& status : made.statuses) EXPECT_EQ(status.code, code);
  };
  refused(StatusCode::kBadFormat, [](LayerRequest& each) { each.format = {}; });
  refused(StatusCode::kBadFormat,
          [](LayerRequest& each) { each.format.group_size = GroupSize::of(0); });
  refused(StatusCode::kSizeOverflow, [](LayerRequest& each) { each.view.rows = UINT64_MAX; });
  refused(StatusCode::kNullInput, [](LayerRequest& each) { each.view.data = nullptr; });
  refused(StatusCode::kBadStride, [](LayerRequest& each) { each.view.row_stride_bytes = 4; });
  EXPECT_EQ(quantize_layer(LayerRequest{}).status.code, StatusCode::kBadFormat);
  EXPECT_TRUE(quantize_layers({}).ok());
}

TEST(QuantizedLayers, PartsThatAreNotThereAreRefused) {
  const QuantizedLayers none;
  EXPECT_THROW(static_cast<void>(none.codes(0)), std::out_of_range);
  EXPECT_THROW(static_cast<void>(none.scales(0)), std::out_of_range);
  EXPECT_THROW(static_cast<void>(none.zero_points(0)), std::out_of_range);
  Batch batch;
  batch.add(format("int8_rowwise", GroupSize::row()), 4, 32, 1);
  EXPECT_TRUE(quantize_layers(requests_of(batch)).zero_points(0).empty());
}

TEST(QuantizedLayers, SizesThatNobodyHasMemoryForAreBadAlloc) {
  const float value = 1;
  const TensorView view{
      .data = &value, .rows = std::uint64_t{1} << 57, .cols = 1, .rows_overlap = true};
  const Format int8 = format("int8", GroupSize::row());
  EXPECT_THROW(quantize_layer({view, int8, {}}), std::bad_alloc);
}

}  // namespace
}  // namespace quarrow

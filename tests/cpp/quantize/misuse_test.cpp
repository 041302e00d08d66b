// SPDX-License-Identifier: Apache-2.0
//
// Calls that make no sense: each is told, and nothing is read or written.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <utility>
#include <vector>

#include "quarrow/quantize/execute.h"
#include "test_batch.h"

namespace quarrow {
namespace {

// What planning says of one layer; kOk when it is taken.
StatusCode planned(const Format& format, TensorView view) {
  const LayerRequest request{view, format, {}};
  try {
    make_plan({&request, 1});
  } catch (const StatusError& error) {
    return error.status().code;
  }
  return StatusCode::kOk;
}

StatusCode planned(const Format& format) { return planned(format, {.rows = 4, .cols = 8}); }

// Matrices of which the second is misused, and what a job says of it. The memory for results starts
// with bytes that no job may change.
class Misused : public testing::Test {
 protected:
  Misused() {
    batch_.add(format("int4", GroupSize::of(8)), 4, 32, 1);
    batch_.add(format("int8", GroupSize::row()), 4, 32, 2);
    plan_ = batch_.plan();
    views_ = batch_.views();
    for (const LayerPlan& layer : plan_.layers) {
      stored_.emplace_back(layer);
      values_.emplace_back(layer.elements(), -1.0F);
    }
    untouched_ = stored_;
    for (std::size_t i = 0; i < stored_.size(); ++i) {
      spans_.push_back(stored_[i].span());
      stored_views_.push_back(stored_[i].view());
      outputs_.push_back({values_[i].data(), DType::kF32});
    }
  }

  // As the job says, whose statuses must all say the same.
  Status quantized(const Context& context = {}, NonFinitePolicy policy = NonFinitePolicy::kRaise) {
    std::vector<Status> statuses(plan_.layers.size());
    const Status status = quantize(plan_, views_, spans_, policy, context, statuses);
    for (const Status& each : statuses) EXPECT_EQ(each.code, status.code);
    EXPECT_EQ(stored_ == untouched_, !status.ok());
    return status;
  }
  Status restored(const Context& context = {}) {
    return dequantize(plan_, stored_views_, outputs_, context);
  }
  Status measured(const Context& context = {}) {
    std::vector<ErrorSums> errors(plan_.layers.size());
    const Status status = measure_error(plan_, views_, stored_views_, errors, context);
    for (const ErrorSums& each : errors) EXPECT_EQ(each.count != 0, status.ok());
    return status;
  }

  static void expect_of_the_second(StatusCode code, const Status& status) {
    EXPECT_EQ(name_of(status.code), name_of(code));
    EXPECT_EQ(status.layer, 1U);
  }

  Batch batch_;
  Plan plan_;
  std::vector<TensorView> views_;
  std::vector<Stored> stored_;
  std::vector<Stored> untouched_;
  std::vector<std::vector<float>> values_;
  std::vector<QuantizedSpan> spans_;
  std::vector<QuantizedView> stored_views_;
  std::vector<DequantizedSpan> outputs_;
};

TEST(MisusedFormat, IsRefusedByThePlan) {
  const Format int4 = default_format(*find_format("int4"));
  EXPECT_EQ(planned(int4), StatusCode::kOk);
  EXPECT_EQ(planned(Format{}), StatusCode::kBadFormat);
  const auto changed = [&](auto change) {
    Format format = int4;
    change(format);
    return planned(format);
  };
  EXPECT_EQ(changed([](Format& f) { f.group_size = GroupSize::of(0); }), StatusCode::kBadFormat);
  EXPECT_EQ(changed([](Format& f) { f.group_size.kind = static_cast<GroupSize::Kind>(9); }),
            StatusCode::kBadFormat);
  EXPECT_EQ(changed([](Format& f) { f.scale_dtype = DType::kF64; }), StatusCode::kBadFormat);
  EXPECT_EQ(changed([](Format& f) { f.scale_dtype = static_cast<DType>(9); }),
            StatusCode::kBadFormat);
  EXPECT_EQ(changed([](Format& f) { f.rounding = static_cast<Rounding>(9); }),
            StatusCode::kBadFormat);
}

TEST(MisusedFormat, FieldsThatItDoesNotHaveAreRefused) {
  const Format rowwise = default_format(*find_format("int8_rowwise"));
  const auto changed = [&](auto change) {
    Format format = rowwise;
    change(format);
    return planned(format);
  };
  EXPECT_EQ(planned(rowwise), StatusCode::kOk);
  EXPECT_EQ(changed([](Format& f) { f.group_size = GroupSize::of(4); }), StatusCode::kBadFormat);
  EXPECT_EQ(changed([](Format& f) { f.symmetric = false; }), StatusCode::kBadFormat);
  EXPECT_EQ(changed([](Format& f) { f.packed = true; }), StatusCode::kBadFormat);
  EXPECT_EQ(changed([](Format& f) { f.scale_dtype = DType::kF16; }), StatusCode::kBadFormat);
  EXPECT_EQ(changed([](Format& f) { f.rounding = Rounding::kStochastic; }), StatusCode::kBadFormat);
}

TEST(MisusedView, OfNoDTypeOrOfMoreBytesThanThereCanBeIsRefusedByThePlan) {
  const Format int8 = default_format(*find_format("int8"));
  const std::uint64_t many = std::uint64_t{1} << 32;
  EXPECT_EQ(planned(int8, {.dtype = static_cast<DType>(9), .rows = 4, .cols = 8}),
            StatusCode::kBadDType);
  EXPECT_EQ(planned(int8, {.rows = many, .cols = many}), StatusCode::kSizeOverflow);
  EXPECT_EQ(planned(int8, {.rows = std::numeric_limits<std::uint64_t>::max(), .cols = 1}),
            StatusCode::kSizeOverflow);
  const std::array<std::int64_t, 2> shape{4, 8};
  const std::array<std::int64_t, 2> negative{4, -8};
  const auto viewed = [](DType dtype, std::span<const std::int64_t> sizes) {
    try {
      matrix_view(nullptr, dtype, sizes);
    } catch (const StatusError& error) {
      return error.status().code;
    }
    return StatusCode::kOk;
  };
  EXPECT_EQ(viewed(static_cast<DType>(9), shape), StatusCode::kBadDType);
  EXPECT_EQ(viewed(DType::kF32, negative), StatusCode::kSizeOverflow);
}

TEST_F(Misused, NothingOfIt) {
  EXPECT_TRUE(quantized().ok());
  EXPECT_TRUE(restored().ok());
  EXPECT_TRUE(measured().ok());
}

TEST_F(Misused, APlanWithoutTiles) {
  plan_.tiles.clear();
  for (LayerPlan& layer : plan_.layers) layer.first_tile = layer.tile_count = 0;
  EXPECT_EQ(quantized().code, StatusCode::kPlanNotCut);
  EXPECT_EQ(restored().code, StatusCode::kPlanNotCut);
  EXPECT_EQ(measured().code, StatusCode::kPlanNotCut);
}

TEST_F(Misused, APlanWithoutTheTilesOfItsLastLayer) {
  plan_ = {};
  add_layer(plan_, {views_[0], format("int4", GroupSize::of(8)), {}});
  cut_tiles(plan_);
  add_layer(plan_, {views_[1], format("int8", GroupSize::row()), {}});
  expect_of_the_second(StatusCode::kPlanNotCut, quantized());
  cut_tiles(plan_);
  EXPECT_EQ(plan_.tiles.size(), 2U);
  EXPECT_TRUE(quantized().ok());
}

TEST_F(Misused, APlanWithTilesThatAreNobodys) {
  plan_.tiles.push_back(plan_.tiles[0]);
  EXPECT_EQ(quantized().code, StatusCode::kPlanNotCut);
  plan_.tiles.pop_back();
  std::swap(plan_.layers[0].first_tile, plan_.layers[1].first_tile);
  EXPECT_EQ(quantized().code, StatusCode::kPlanNotCut);
}

TEST_F(Misused, APlanOfLayersThatNobodyPlanned) {
  plan_.layers[1].format.spec = nullptr;
  expect_of_the_second(StatusCode::kBadFormat, quantized());
  plan_.layers[1].dtype = static_cast<DType>(9);
  EXPECT_THROW(cut_tiles(plan_), StatusError);
  plan_.layers[1].dtype = DType::kF32;
  plan_.layers[1].encoding.block_cols = 0;
  EXPECT_THROW(cut_tiles(plan_), StatusError);
}

TEST_F(Misused, APlanOfNoLayers) {
  plan_ = {};
  const Status status = quantize(plan_, views_, spans_, NonFinitePolicy::kRaise, {}, {});
  EXPECT_EQ(status.code, StatusCode::kWrongLayerCount);
}

TEST_F(Misused, NullWhereThereAreValues) {
  views_[1].data = nullptr;
  expect_of_the_second(StatusCode::kNullInput, quantized());
  expect_of_the_second(StatusCode::kNullInput, measured());
}

TEST_F(Misused, NullWhereResultsGo) {
  const auto without = [this](auto drop) {
    const QuantizedSpan kept = spans_[1];
    drop(spans_[1]);
    const Status status = quantized();
    spans_[1] = kept;
    return status;
  };
  expect_of_the_second(StatusCode::kNullOutput,
                       without([](QuantizedSpan& span) { span[Role::kCodes] = nullptr; }));
  expect_of_the_second(StatusCode::kNullOutput,
                       without([](QuantizedSpan& span) { span[Role::kScales] = nullptr; }));
  expect_of_the_second(StatusCode::kNullOutput,
                       without([](QuantizedSpan& span) { span[Role::kZeroPoints] = nullptr; }));
  outputs_[1].data = nullptr;
  expect_of_the_second(StatusCode::kNullOutput, restored());
}

TEST_F(Misused, NullWhereStoredPartsAre) {
  const QuantizedView kept = stored_views_[1];
  stored_views_[1][Role::kCodes] = nullptr;
  expect_of_the_second(StatusCode::kNullInput, restored());
  expect_of_the_second(StatusCode::kNullInput, measured());
  stored_views_[1] = kept;
  stored_views_[1][Role::kZeroPoints] = nullptr;
  expect_of_the_second(StatusCode::kNullInput, restored());
}

TEST_F(Misused, RowsThatOverlapUnlessTheViewSaysSo) {
  const std::ptrdiff_t row = views_[1].row_stride_bytes;
  for (const std::ptrdiff_t stride : {std::ptrdiff_t{0}, row - 1, 1 - row}) {
    views_[1].row_stride_bytes = stride;
    expect_of_the_second(StatusCode::kBadStride, quantized());
    expect_of_the_second(StatusCode::kBadStride, measured());
  }
  views_[1].row_stride_bytes = 0;
  views_[1].rows_overlap = true;
  EXPECT_TRUE(quantized().ok());
}

TEST_F(Misused, AnotherTensorThanWasPlanned) {
  const TensorView planned = views_[1];
  const auto refused = [&](auto change) {
    views_[1] = planned;
    change(views_[1]);
    expect_of_the_second(StatusCode::kOtherTensor, quantized());
    expect_of_the_second(StatusCode::kOtherTensor, measured());
  };
  refused([](TensorView& view) { view.rows += 1; });
  refused([](TensorView& view) { view.cols -= 1; });
  refused([](TensorView& view) { view.dtype = DType::kF16; });
}

TEST_F(Misused, DTypesThatAreNotWritten) {
  for (const DType dtype : {DType::kF64, static_cast<DType>(9)}) {
    outputs_[1].dtype = dtype;
    expect_of_the_second(StatusCode::kBadDType, restored());
  }
}

TEST_F(Misused, APolicyThatIsNone) {
  EXPECT_EQ(quantized({}, static_cast<NonFinitePolicy>(9)).code, StatusCode::kBadPolicy);
}

TEST_F(Misused, AContextWithoutAnExecutor) {
  const Context context{.executor = nullptr};
  EXPECT_EQ(quantized(context).code, StatusCode::kNoExecutor);
  EXPECT_EQ(restored(context).code, StatusCode::kNoExecutor);
  EXPECT_EQ(measured(context).code, StatusCode::kNoExecutor);
}

TEST_F(Misused, ATargetThatIsNoneOfThisMachine) {
  for (unsigned index = 1; index < 256; ++index) {
    const Context context{.target = {static_cast<std::uint8_t>(index)}};
    if (is_runnable(context.target)) continue;
    EXPECT_EQ(quantized(context).code, StatusCode::kNoTarget);
    EXPECT_EQ(restored(context).code, StatusCode::kNoTarget);
    EXPECT_EQ(measured(context).code, StatusCode::kNoTarget);
  }
}

TEST_F(Misused, ADefaultContextTakesTheTargetOfTheProcess) {
  class Told final : public Executor {
   public:
    std::string_view name() const noexcept override { return "told"; }
    bool run(std::size_t count, std::size_t threads, Body body, Poll* poll) override {
      threads_ = threads;
      return plain_executor().run(count, threads, body, poll);
    }
    std::size_t threads_ = 0;
  };
  ASSERT_EQ(setenv("QUARROW_FORCE_ISA", "none of them", 1), 0);
  const Status forced = quantized();
  ASSERT_EQ(unsetenv("QUARROW_FORCE_ISA"), 0);
  EXPECT_EQ(forced.code, StatusCode::kNoTarget);
  EXPECT_TRUE(quantized().ok());

  Batch large;
  large.add(format("int8", GroupSize::row()), 4096, 1024, 3);
  Told told;
  large.run({.executor = &told});
  EXPECT_TRUE(large.status().ok());
  EXPECT_EQ(told.threads_, std::min<std::size_t>(available_cpus(), large.plan().tiles.size()));
}

TEST(StatusCodes, HaveNamesThatDiffer) {
  std::vector<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(StatusCode::kNoTarget); ++code) {
    const std::string_view name = name_of(static_cast<StatusCode>(code));
    EXPECT_EQ(std::ranges::count(names, name), 0) << name;
    EXPECT_NE(name, "unknown");
    names.push_back(name);
  }
  EXPECT_EQ(name_of(static_cast<StatusCode>(200)), "unknown");
  EXPECT_STREQ(StatusError({.code = StatusCode::kBadFormat}).what(), "bad_format");
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "quarrow/quantize/plan.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "quarrow/core/status.h"

namespace quarrow {
namespace {

Format format(const char* name, GroupSize group, bool packed = true) {
  Format format = default_format(*find_format(name));
  format.group_size = group;
  format.packed = packed;
  return format;
}

Plan plan_one(const Format& format, std::uint64_t rows, std::uint64_t cols,
              DType dtype = DType::kF32) {
  const LayerRequest request{
      .view = {.dtype = dtype, .rows = rows, .cols = cols}, .format = format, .name = "layer"};
  return make_plan({&request, 1});
}

struct Shape {
  std::uint64_t rows;
  std::uint64_t cols;
};

// Tiles must cover every element once, in order, and every byte of codes once.
void expect_tiles_cover(const Plan& plan) {
  const LayerPlan& layer = plan.layers[0];
  std::uint64_t next_element = 0;
  std::uint64_t next_code = 0;
  for (const Tile& tile : plan.tiles) {
    EXPECT_EQ(tile.row * layer.cols + tile.col, next_element);
    EXPECT_TRUE(tile.cols == layer.cols || tile.rows == 1);
    next_element += tile.rows * tile.cols;
    const PartSlice codes = slice_of(layer.encoding.codes(), tile);
    EXPECT_EQ(codes.offset, next_code);
    EXPECT_TRUE(codes.owned);
    next_code += codes.bytes();
    const std::uint64_t group = layer.encoding.block_cols;
    const bool whole_groups = tile.col % group == 0 && (tile.col + tile.cols) % group == 0;
    const bool ends_row = tile.col % group == 0 && tile.col + tile.cols == layer.cols;
    const bool piece = layer.range_pass && (tile.col / group == (tile.col + tile.cols - 1) / group);
    const bool anywhere = layer.encoding.range_span == RangeSpan::kNone;
    EXPECT_TRUE(whole_groups || ends_row || piece || anywhere);
  }
  EXPECT_EQ(next_element, layer.elements());
  EXPECT_EQ(next_code, layer.encoding.codes().bytes());
}

TEST(Plan, FloatsNeedARangeWhereTheyAreScaledAlone) {
  const std::uint64_t columns = kTileBytes / sizeof(float);
  for (const bool scaled : {true, false}) {
    Format floats = default_format(*find_format("fp8_e4m3"));
    floats.scaled = scaled;
    for (const Shape shape : {Shape{5, 7}, Shape{2, columns * 3 + 5}}) {
      const Plan plan = plan_one(floats, shape.rows, shape.cols);
      EXPECT_EQ(plan.range_pass, scaled);
      expect_tiles_cover(plan);
      EXPECT_EQ(plan.layers[0].encoding.bytes_of(Role::kTensorScale), scaled ? 4U : 0U);
    }
  }
}

TEST(Plan, WidthsOfRangesCountWhereCodesBeginAtTheLowestValue) {
  for (const FormatSpec& spec : registry()) {
    const Encoding encoding = plan_one(default_format(spec), 4, 128).layers[0].encoding;
    EXPECT_EQ(encoding.needs_width, encoding.find(Role::kZeroPoints) != nullptr) << spec.name;
  }
}

TEST(Plan, TilesCoverEveryElementAndEveryCodeOnce) {
  const std::uint64_t columns = kTileBytes / sizeof(float);
  for (const char* name : {"int8", "int4", "int2"}) {
    for (const GroupSize group :
         {GroupSize::of(1), GroupSize::of(3), GroupSize::of(128), GroupSize::of(columns + 1),
          GroupSize::of(columns * 2), GroupSize::of(std::numeric_limits<std::uint64_t>::max()),
          GroupSize::row(), GroupSize::tensor()}) {
      for (const Shape shape : {Shape{1, 1}, Shape{5, 7}, Shape{300, 999}, Shape{3, columns},
                                Shape{2, columns * 3 + 5}, Shape{2, columns * 8}}) {
        SCOPED_TRACE(std::string(name) + " " + std::to_string(group.columns) + " " +
                     std::to_string(shape.rows) + "x" + std::to_string(shape.cols));
        expect_tiles_cover(plan_one(format(name, group), shape.rows, shape.cols));
      }
    }
  }
}

TEST(Plan, TilesStayWithinTheirBytes) {
  const Plan plan = plan_one(format("int4", GroupSize::of(128)), 4, 1 << 22);
  for (const Tile& tile : plan.tiles) EXPECT_LE(tile.rows * tile.cols * 4, kTileBytes);
  EXPECT_FALSE(plan.range_pass);
}

TEST(Plan, GroupsBeyondATileTakeARangePass) {
  const std::uint64_t columns = kTileBytes / sizeof(float);
  EXPECT_TRUE(plan_one(format("int8", GroupSize::row()), 2, columns + 1).range_pass);
  EXPECT_FALSE(plan_one(format("int8", GroupSize::row()), 2, columns).range_pass);
  EXPECT_TRUE(plan_one(format("int8", GroupSize::tensor()), 2, 3).range_pass);
  EXPECT_TRUE(plan_one(format("int4", GroupSize::of(columns * 2)), 1, columns * 4).range_pass);
  // An odd group of packed codes cannot be cut on a byte: its tile is larger instead.
  EXPECT_FALSE(plan_one(format("int4", GroupSize::of(columns * 2 + 1)), 1, columns * 8).range_pass);
}

TEST(Plan, SizesOfPackedAndUnpackedCodes) {
  const LayerPlan int4 = plan_one(format("int4", GroupSize::of(128)), 3, 301).layers[0];
  EXPECT_EQ(int4.encoding.codes().row_bytes, 151U);
  EXPECT_EQ(int4.encoding.find(Role::kScales)->columns(), 3U);
  EXPECT_EQ(int4.encoding.bytes_of(Role::kScales), 9 * sizeof(float));
  const LayerPlan int2 = plan_one(format("int2", GroupSize::row()), 3, 301).layers[0];
  EXPECT_EQ(int2.encoding.codes().row_bytes, 76U);
  const LayerPlan unpacked = plan_one(format("int2", GroupSize::row(), false), 3, 301).layers[0];
  EXPECT_EQ(unpacked.encoding.codes().row_bytes, 301U);
}

TEST(Plan, EmptyLayersKeepTheScalesOfTheirRowsAndTensors) {
  EXPECT_EQ(plan_one(format("int8", GroupSize::tensor()), 0, 5).tiles.size(), 1U);
  EXPECT_EQ(plan_one(format("int8", GroupSize::row()), 3, 0).tiles.size(), 1U);
  EXPECT_TRUE(plan_one(format("int8", GroupSize::row()), 0, 5).tiles.empty());
  EXPECT_TRUE(plan_one(format("int4", GroupSize::of(128)), 3, 0).tiles.empty());
  EXPECT_EQ(
      plan_one(format("int4", GroupSize::of(128)), 3, 0).layers[0].encoding.bytes_of(Role::kScales),
      0U);
}

TEST(Plan, APartIsWrittenByTheTilesWhereItsStepsBegin) {
  const std::uint64_t columns = kTileBytes / sizeof(float);
  for (const GroupSize group :
       {GroupSize::row(), GroupSize::tensor(), GroupSize::of(64), GroupSize::of(columns * 2)}) {
    const Plan plan = plan_one(format("int8", group), 3, columns * 4);
    const LayerPlan& layer = plan.layers[0];
    PerRole<std::uint64_t> written;
    for (const Tile& tile : plan.tiles) {
      for (const PartSpec& part : layer.encoding.parts()) {
        const PartSlice slice = slice_of(part, tile);
        EXPECT_LE(slice.offset + slice.bytes(), part.bytes());
        if (!slice.owned) continue;
        EXPECT_EQ(slice.offset, written[part.role]) << name_of(part.role);
        written[part.role] += slice.bytes();
      }
    }
    for (const PartSpec& part : layer.encoding.parts()) {
      EXPECT_EQ(written[part.role], part.bytes()) << name_of(part.role);
    }
  }
}

TEST(Plan, PartsAreSaidInWords) {
  EXPECT_EQ(name_of(Role::kCodes), "codes");
  EXPECT_EQ(name_of(Role::kCodebook), "codebook");
  const LayerPlan layer = plan_one(format("int8", GroupSize::row()), 3, 10).layers[0];
  EXPECT_EQ(layer.encoding.find(Role::kTensorScale), nullptr);
  EXPECT_EQ(layer.encoding.bytes_of(Role::kCodebook), 0U);
}

TEST(Plan, ScalesThatDoNotFitNameTheLayer) {
  const std::vector<LayerRequest> requests{
      {.view = {.rows = 1, .cols = 1}, .format = format("int8", GroupSize::row()), .name = "a"},
      {.view = {.rows = std::uint64_t{1} << 62, .cols = 0},
       .format = format("int8", GroupSize::row()),
       .name = "b"}};
  try {
    make_plan(requests);
    FAIL() << "accepted";
  } catch (const StatusError& error) {
    EXPECT_EQ(error.status().code, StatusCode::kSizeOverflow);
    EXPECT_EQ(error.status().layer, 1U);
  }
}

TEST(Plan, ScalesMoreThanCanBeCountedAreRefused) {
  const std::uint64_t many = std::uint64_t{1} << 32;
  EXPECT_THROW(plan_one(format("int8", GroupSize::of(1)), many, many), StatusError);
}

TEST(Plan, ALayerThatIsRefusedLeavesThePlanAsItWas) {
  const TensorView good{.dtype = DType::kF32, .rows = 2, .cols = 8};
  const TensorView bad{.rows = std::uint64_t{1} << 62, .cols = 0};
  const Format int8 = format("int8", GroupSize::row());
  Plan plan;
  add_layer(plan, {good, int8, "a"});
  EXPECT_THROW(add_layer(plan, {bad, int8, "b"}), StatusError);
  add_layer(plan, {good, int8, "c"});
  EXPECT_EQ(plan.layers.size(), 2U);
  EXPECT_EQ(plan.input_bytes, 2 * good.bytes());
}

TEST(Plan, TheNameAndTheSeedMakeTheRandomKey) {
  Format stochastic = format("int4", GroupSize::of(128));
  stochastic.rounding = Rounding::kStochastic;
  const auto key = [](const Format& format, const char* name) {
    const LayerRequest request{.view = {.rows = 1, .cols = 1}, .format = format, .name = name};
    return make_plan({&request, 1}).layers[0].random_key;
  };
  const std::uint64_t first = key(stochastic, "a");
  EXPECT_NE(first, key(stochastic, "b"));
  stochastic.seed = 5;
  EXPECT_EQ(first ^ 5U, key(stochastic, "a"));
  // XXH3's own published value for no input at all.
  stochastic.seed = 0;
  EXPECT_EQ(key(stochastic, ""), 0x2D06800538D394C2U);
}

TEST(Registry, FindsEveryName) {
  for (const FormatSpec& spec : registry()) {
    EXPECT_EQ(find_format(spec.name), &spec);
    EXPECT_EQ(default_format(spec).spec, &spec);
  }
  EXPECT_EQ(find_format("int5"), nullptr);
}

}  // namespace
}  // namespace quarrow

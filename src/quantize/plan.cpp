// SPDX-License-Identifier: Apache-2.0
#include "quarrow/quantize/plan.h"

#include <xxhash.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/checked_math.h"
#include "quarrow/core/status.h"

namespace quarrow {
namespace {

// Cuts layers into tiles.
class Tiler {
 public:
  // `columns` of one row fill a tile.
  Tiler(std::size_t index, LayerPlan& layer, std::uint64_t columns, std::vector<Tile>& tiles)
      : index_(index), layer_(layer), tiles_(tiles), columns_(columns) {}

  void cut() {
    const Encoding& encoding = layer_.encoding;
    if (layer_.elements() == 0) {
      // Scales without elements (a row, a tensor) still get the value of an all-zero group.
      std::uint64_t rows = 0;
      for (const PartSpec& part : encoding.parts()) {
        if (part.row_bytes != 0) rows = std::max(rows, part.rows);
      }
      if (rows != 0) add(0, rows, 0, 0);
      return;
    }
    layer_.range_pass = encoding.range_span == RangeSpan::kTensor;
    if (layer_.cols <= columns_) {
      cut_whole_rows(columns_ / layer_.cols);
    } else if (can_cut_groups()) {
      layer_.range_pass = encoding.range_span != RangeSpan::kNone;
      cut_pieces_of_groups();
    } else {
      cut_whole_groups();
    }
  }

 private:
  // A group beyond a tile can be cut where its pieces, and so the group itself, start on a byte.
  bool can_cut_groups() const {
    const std::uint64_t group = layer_.encoding.block_cols;
    return group > columns_ && (group >= layer_.cols || group % byte_cols() == 0);
  }

  // Columns whose codes fill whole bytes.
  std::uint64_t byte_cols() const { return layer_.encoding.codes().step_cols; }

  void cut_whole_rows(std::uint64_t rows_per_tile) {
    for (std::uint64_t row = 0; row < layer_.rows; row += rows_per_tile) {
      add(row, std::min(rows_per_tile, layer_.rows - row), 0, layer_.cols);
    }
  }

  void cut_pieces_of_groups() {
    const std::uint64_t group = layer_.encoding.block_cols;
    const std::uint64_t piece = columns_ / byte_cols() * byte_cols();
    for (std::uint64_t row = 0; row < layer_.rows; ++row) {
      for (std::uint64_t start = 0; start < layer_.cols; start += group) {
        const std::uint64_t end = std::min(start + group, layer_.cols);
        for (std::uint64_t col = start; col < end; col += piece) {
          add(row, 1, col, std::min(piece, end - col));
        }
      }
    }
  }

  void cut_whole_groups() {
    const std::uint64_t step = std::lcm(layer_.encoding.block_cols, byte_cols());
    const std::uint64_t columns = std::max<std::uint64_t>(1, columns_ / step) * step;
    for (std::uint64_t row = 0; row < layer_.rows; ++row) {
      for (std::uint64_t col = 0; col < layer_.cols; col += columns) {
        add(row, 1, col, std::min(columns, layer_.cols - col));
      }
    }
  }

  void add(std::uint64_t row, std::uint64_t rows, std::uint64_t col, std::uint64_t cols) {
    tiles_.push_back({.layer = index_, .row = row, .rows = rows, .col = col, .cols = cols});
  }

  std::size_t index_;
  LayerPlan& layer_;
  std::vector<Tile>& tiles_;
  std::uint64_t columns_;  // of one tile of one row
};

constexpr std::uint64_t kMostBytes = std::numeric_limits<std::int64_t>::max();

[[noreturn]] void refuse(StatusCode code) { throw StatusError({.code = code}); }

// Of a layer's input, where there is room for `most`.
std::uint64_t input_bytes(const LayerPlan& layer, std::uint64_t most) {
  const std::size_t element = size_of(layer.dtype);
  if (element == 0) refuse(StatusCode::kBadDType);
  const auto elements = checked_product(layer.rows, layer.cols);
  const auto bytes = elements ? checked_product(*elements, element) : std::nullopt;
  if (!bytes || *bytes > most) refuse(StatusCode::kSizeOverflow);
  return *bytes;
}

}  // namespace

PartSlice slice_of(const PartSpec& part, const Tile& tile) noexcept {
  const bool first = !part.is_shared() || tile.row == 0;
  PartSlice slice{.offset = tile.row * part.row_stride(part.row_bytes),
                  .rows = part.is_shared() ? 1 : std::min(part.rows, tile.rows),
                  .row_bytes = part.row_bytes,
                  .owned = first && tile.col == 0};
  if (part.step_cols != 0) {
    slice.offset += tile.col / part.step_cols * part.step_bytes;
    slice.row_bytes = divide_up(tile.cols, part.step_cols) * part.step_bytes;
    slice.owned = first && tile.col % part.step_cols == 0;
  }
  return slice;
}

void add_layer(Plan& plan, const LayerRequest& request) {
  // Made where it stays: copied, it would cost a small call as much as all checks.
  LayerPlan& layer = plan.layers.emplace_back();
  layer.format = request.format;
  layer.dtype = request.view.dtype;
  layer.rows = request.view.rows;
  layer.cols = request.view.cols;
  try {
    check_format(layer.format);
    const std::uint64_t bytes = input_bytes(layer, kMostBytes - plan.input_bytes);
    layer.encoding = layer.format.spec->encoding(layer.format, layer.rows, layer.cols);
    plan.input_bytes += bytes;
  } catch (const StatusError& error) {
    plan.layers.pop_back();
    Status status = error.status();
    status.layer = plan.layers.size();
    throw StatusError(status);
  }
  if (layer.format.rounding == Rounding::kStochastic) {
    layer.random_key = XXH3_64bits(request.name.data(), request.name.size()) ^ layer.format.seed;
  }
}

Plan plan_layers(std::span<const LayerRequest> layers) {
  Plan plan;
  plan.layers.reserve(layers.size());
  for (const LayerRequest& request : layers) add_layer(plan, request);
  return plan;
}

void cut_tiles(Plan& plan) {
  plan.tiles.clear();
  plan.range_pass = false;
  for (std::size_t index = 0; index < plan.layers.size(); ++index) {
    LayerPlan& layer = plan.layers[index];
    // A layer that a program made by itself may lack what tiles are counted by.
    const std::size_t element = size_of(layer.dtype);
    if (element == 0) refuse(StatusCode::kBadDType);
    if (layer.encoding.block_cols == 0 || layer.encoding.codes().step_cols == 0) {
      refuse(StatusCode::kBadFormat);
    }
    layer.first_tile = plan.tiles.size();
    Tiler(index, layer, kTileBytes / element, plan.tiles).cut();
    layer.tile_count = plan.tiles.size() - layer.first_tile;
    plan.range_pass |= layer.range_pass;
  }
}

Plan make_plan(std::span<const LayerRequest> layers) {
  Plan plan = plan_layers(layers);
  cut_tiles(plan);
  return plan;
}

}  // namespace quarrow

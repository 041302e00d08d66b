// SPDX-License-Identifier: Apache-2.0
//
// What will be done: sizes and tiles, known before anything is allocated or written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "quarrow/core/dtype.h"
#include "quarrow/core/tensor_view.h"
#include "quarrow/quantize/format.h"

namespace quarrow {

// A rectangle of one layer: whole rows, or a stretch of columns of one row. It holds whole groups,
// or (where a group is larger than a tile) a piece of one group; its codes start and end on bytes.
struct Tile {
  std::size_t layer = 0;
  std::uint64_t row = 0;
  std::uint64_t rows = 0;
  std::uint64_t col = 0;
  std::uint64_t cols = 0;
};

// The input bytes of a tile are at most this, except where groups cannot be cut into pieces that
// start on a byte (a packed format with a group beyond this size that is not a multiple of 2 or 4).
inline constexpr std::uint64_t kTileBytes = 256 * 1024;

struct LayerPlan {
  Format format;
  DType dtype = DType::kF32;
  std::uint64_t rows = 0;
  std::uint64_t cols = 0;
  Encoding encoding = {};
  std::uint64_t random_key = 0;  // of stochastic rounding: XXH3_64(name) xor seed
  bool unsigned_codes = false;   // symmetric codes plus half of the codes, as some files store them
  bool range_pass = false;       // ranges are found in a pass of their own, before the codes
  std::size_t first_tile = 0;    // in Plan::tiles
  std::size_t tile_count = 0;

  std::uint64_t elements() const noexcept { return rows * cols; }
};

// The tiles of all layers in one flat list, in the order of the layers and of their elements. The
// tiles of a layer depend on its shape, dtype and format alone, so that sums over tiles do too.
struct Plan {
  std::vector<LayerPlan> layers;
  std::vector<Tile> tiles;
  std::uint64_t input_bytes = 0;
  bool range_pass = false;  // some layer has one
};

// One layer to plan. The name seeds stochastic rounding, and nothing else.
struct LayerRequest {
  TensorView view;  // only dtype, rows and cols are used
  Format format;
  std::string_view name;
};

// What a tile has of a part. Its rows lie the part's row_bytes apart; those of a tile of several
// rows are whole ones, and so behind each other.
struct PartSlice {
  std::uint64_t offset = 0;     // of its first byte in the part
  std::uint64_t rows = 0;       // 1 where the rows share one
  std::uint64_t row_bytes = 0;  // of the tile, in each row
  bool owned = true;            // false: another tile writes it, the one where the step begins

  std::uint64_t bytes() const noexcept { return rows * row_bytes; }
};
PartSlice slice_of(const PartSpec& part, const Tile& tile) noexcept;

// Appends the exact sizes of a layer, without tiles: their number grows with the sizes that a
// caller claims, so they are cut when the outputs are there. Throws StatusError with the layer's
// index, the plan as it was: kSizeOverflow where the bytes of all layers, or what one becomes, do
// not fit in 63 bits; kBadFormat; kBadDType.
void add_layer(Plan& plan, const LayerRequest& request);
Plan plan_layers(std::span<const LayerRequest> layers);

// Cuts the tiles of all layers, anew where there are some. Throws StatusError(kBadDType or
// kBadFormat) for a layer that add_layer() has not made.
void cut_tiles(Plan& plan);

// Both, plan_layers() and cut_tiles().
Plan make_plan(std::span<const LayerRequest> layers);

}  // namespace quarrow

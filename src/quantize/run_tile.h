// SPDX-License-Identifier: Apache-2.0
//
// One tile at a time, for callers that bring the bytes themselves (execute.cpp from memory, the
// file pipeline from a file).
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/format_kernels.h"
#include "quarrow/quantize/execute.h"
#include "quarrow/quantize/plan.h"

namespace quarrow {

// The input of a tile: `data` points at the tile's own first element.
InputTile input_tile(const LayerPlan& layer, const Tile& tile, const void* data,
                     std::ptrdiff_t row_stride_bytes) noexcept;

// The range of all elements of a tile, and its non-finite values.
void find_range(const InputTile& input, Target target, Range& range, TileReport& report) noexcept;

// Quantizes one tile. The parts of `output` are those of the tile: where they lie in its layer, or
// tightly in memory of their own. `range`: what the range pass found for the tile's span, or null
// when the layer has no range pass.
struct TileOutput {
  PerRole<PartOutput> parts;
  bool stream_codes = false;  // see EncodeTile
  bool fetch_ahead = true;
};
// Whether the codes of a job in memory are written past the caches: of a larger one the next reader
// would not find them there.
inline bool streams_codes(const Plan& plan) noexcept {
  return plan.input_bytes > std::uint64_t{64} << 20;
}
void quantize_tile(const LayerPlan& layer, const InputTile& input, const TileOutput& output,
                   const Range* range, NonFinitePolicy policy, Target target,
                   TileReport& report) noexcept;

// Writes the values of one tile; `output` points at its first element, rows row_bytes apart.
void dequantize_tile(const LayerPlan& layer, const Tile& tile, const PerRole<PartInput>& stored,
                     Target target, const DequantizedSpan& output, std::size_t row_bytes) noexcept;

// Adds the error of one tile, whose parts are all present. `restored` is scratch of rows x cols
// floats of the tile.
void measure_tile(const LayerPlan& layer, const InputTile& original,
                  const PerRole<PartInput>& stored, Target target, float* restored,
                  ErrorSums& sums) noexcept;

// Adds the sums of all lanes.
void add_lanes(const ErrorLanes& lanes, ErrorSums& sums) noexcept;

// The parts of a tile in those of its layer; what another tile writes is left out.
PerRole<PartOutput> tile_parts(const LayerPlan& layer, const Tile& tile,
                               const QuantizedSpan& layer_parts) noexcept;
// The same to be read, with what tiles share.
PerRole<PartInput> tile_parts(const LayerPlan& layer, const Tile& tile,
                              const QuantizedView& layer_parts) noexcept;

// False for the tiles of a span that do not start it.
bool starts_span(const LayerPlan& layer, const Tile& tile) noexcept;

// How many ranges a layer with a range pass has, and which of them a tile belongs to.
std::uint64_t range_count(const LayerPlan& layer) noexcept;
std::uint64_t range_index(const LayerPlan& layer, const Tile& tile) noexcept;

// Widens `range` by what another tile of the same span found.
void widen(Range& range, const Range& other) noexcept;

// Whether a range found by the range pass is beyond the format (its hi - lo overflows f32).
bool range_overflows(const LayerPlan& layer, const Range& range) noexcept;

// The status of a layer from the reports of its tiles, given in tile order.
void add_report(TileReport& total, const TileReport& tile) noexcept;
Status to_status(std::size_t layer, const TileReport& total, NonFinitePolicy policy) noexcept;

}  // namespace quarrow

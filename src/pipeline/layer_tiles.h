// SPDX-License-Identifier: Apache-2.0
//
// Tiles of layers that lie in a file: read, quantized, written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/format_kernels.h"
#include "pipeline/layer_writer.h"
#include "quarrow/pipeline/quantize_file.h"

namespace quarrow {

// The memory of one worker. Its size depends on the tiles, not on the file.
struct TileBuffers {
  std::unique_ptr<std::byte[]> input;
  std::unique_ptr<std::uint8_t[]> codes;
  std::unique_ptr<float[]> scales;
  std::unique_ptr<std::uint8_t[]> zero_points;
  std::unique_ptr<float[]> restored;
  std::span<std::byte> input_span;
};

// Reads, quantizes and writes single tiles of a plan. Functions with a worker argument may be
// called from several threads, each with its own worker number.
class LayerTiles {
 public:
  LayerTiles(const SafetensorsFile& source, const FilePlan& plan, const File& output,
             const FileJobOptions& options, const Context& context);

  // The buffers of a worker, made at its first call. The input is never smaller than a tile.
  TileBuffers& buffers(std::size_t worker);

  // What a tile (an index of plan.quantize.tiles) of `tensor` contributes to the range of its span.
  // Throws CheckpointFault when the source has become shorter.
  void find_range(std::size_t tile, std::size_t tensor, std::size_t worker, TileReport& report);
  // After find_range of all tiles of the layer: the tiles of a span share one range. `reports` are
  // those of the layer's tiles, and get the overflow of a range.
  void join_ranges(const LayerPlan& layer, std::span<TileReport> reports);

  // Quantizes a tile and writes it, unless its report is bad or `write` is false.
  void quantize(std::size_t tile, std::size_t tensor, std::size_t worker, bool write,
                TileReport& report);

  // The sums of all tiles, in tile order; empty unless options.measure_error.
  std::vector<ErrorSums> errors() const;

 private:
  InputTile read(const Tile& tile, std::size_t tensor, TileBuffers& buffers) const;

  const SafetensorsFile& source_;
  const FilePlan& plan_;
  LayerWriter writer_;
  const FileJobOptions& options_;
  Target target_;
  std::uint64_t input_bytes_ = kTileBytes;  // of the largest tile
  std::uint64_t code_bytes_ = 0;
  std::uint64_t scale_count_ = 0;
  std::uint64_t elements_ = 0;
  std::vector<TileBuffers> buffers_;
  std::vector<Range> ranges_;      // of each tile, when the plan has a range pass
  std::vector<ErrorSums> errors_;  // of each tile, when measured
};

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// The outputs of tiles, written as the layout of their layer stores them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "pipeline/tile_work.h"
#include "quarrow/pipeline/file_plan.h"

namespace quarrow {

// Bytes from one row of codes of a tile to the next, padding included. Tiles of whole rows lie in
// memory as they lie in the file.
std::uint64_t stored_row_bytes(const LayerPlan& layer, const Tile& tile, const Storage& storage);

// What a kernel left in the memory of a worker. `codes` has rows stored_row_bytes() apart; scales
// and zero points lie tightly.
struct TileResult {
  std::uint8_t* codes = nullptr;
  float* scales = nullptr;
  std::uint8_t* zero_points = nullptr;
};

// May be called from several threads, each with tiles of its own.
class LayerWriter {
 public:
  LayerWriter(const FilePlan& plan, Outputs outputs) : plan_(plan), outputs_(outputs) {}

  // Where the codes of a tile are to be left for write(): where they belong when that is in memory,
  // else in `scratch`.
  std::uint8_t* codes_place(const Tile& tile, std::size_t tensor, std::uint8_t* scratch) const;

  // Writes the outputs of a tile of `tensor`; what `result` points to is scratch afterwards.
  void write(const Tile& tile, std::size_t tensor, const TileResult& result);

 private:
  // The zero points of a layer of which some tiles are written and some are not. They are packed
  // down the columns, across tiles: so they wait here until the last one is done.
  struct ZeroPoints {
    explicit ZeroPoints(const LayerPlan& layer)
        : values(layer.geometry.scales()), tiles_left(layer.tile_count) {}

    std::vector<std::uint8_t> values;  // [rows, groups]
    std::atomic<std::size_t> tiles_left;
  };

  std::uint64_t codes_position(const Tile& tile, const TensorPlan& placed) const;
  void write_codes(const Tile& tile, const TensorPlan& placed, std::uint8_t* codes);
  void write_scales(const Tile& tile, const TensorPlan& placed, float* scales);
  void add_zero_points(const Tile& tile, const TensorPlan& placed, const std::uint8_t* values);
  void write_zero_points(const LayerPlan& layer, const TensorPlan& placed,
                         const std::vector<std::uint8_t>& values);

  const FilePlan& plan_;
  Outputs outputs_;
  std::mutex mutex_;
  std::unordered_map<std::size_t, std::unique_ptr<ZeroPoints>> unfinished_;  // by layer
};

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// The parts of tiles, written as the layout of their layer stores them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "pipeline/tile_work.h"
#include "quarrow/pipeline/file_plan.h"

namespace quarrow {

// Bytes from one row of a tile's slice of a part to the next, padding included. Tiles of whole rows
// lie in memory as they lie in the file.
std::uint64_t stored_row_bytes(const PartSpec& part, const PartSlice& slice,
                               const PartStorage& storage);

// Where a slice begins in its entry, whose elements are of the type `stored`.
std::uint64_t stored_offset(const PartSpec& part, const PartSlice& slice, const Tile& tile,
                            const PartStorage& storage, ElementType stored);

// Bytes of a part as many elements of another type take: only floats are stored as another one.
std::uint64_t bytes_as(const PartSpec& part, ElementType stored, std::uint64_t bytes);

// May be called from several threads, each with tiles of its own.
class LayerWriter {
 public:
  LayerWriter(const FilePlan& plan, Outputs outputs) : plan_(plan), outputs_(outputs) {}

  // Where the codes of a tile are to be left for write(): where they belong when that is in memory,
  // else in `scratch`.
  std::byte* codes_place(const Tile& tile, std::size_t tensor, std::byte* scratch) const;

  // Writes the parts of a tile of `tensor`, rows stored_row_bytes() apart; what `parts` points to
  // is scratch afterwards.
  void write(const Tile& tile, std::size_t tensor, const PerRole<std::byte*>& parts);

 private:
  // A part of a layer that waits until the last of its tiles is there: see Packing.
  struct Held {
    Held(const LayerPlan& layer, const PartSpec& part)
        : values(part.bytes()), tiles_left(layer.tile_count) {}

    std::vector<std::byte> values;
    std::atomic<std::size_t> tiles_left;
  };

  void write_rows(const Tile& tile, const PartSpec& part, const PartSlice& slice,
                  const TensorPlan& placed, std::byte* values);
  // `values` are null where another tile has them.
  void hold(const Tile& tile, const PartSpec& part, const PartSlice& slice,
            const TensorPlan& placed, const std::byte* values);

  const FilePlan& plan_;
  Outputs outputs_;
  std::mutex mutex_;
  std::unordered_map<std::size_t, std::unique_ptr<Held>> held_;  // by layer and role
};

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// What a file job does to the tensors of one action. A new action is a new class of this kind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "quarrow/pipeline/file_plan.h"

namespace quarrow {

// The file of each OutputPlan.
using Outputs = std::span<const File* const>;

// Functions with a worker argument may be called from several threads, each with its own worker
// number.
class TileWork {
 public:
  TileWork() = default;
  TileWork(const TileWork&) = delete;
  TileWork& operator=(const TileWork&) = delete;
  virtual ~TileWork() = default;

  virtual std::size_t tile_count(const TensorPlan& tensor) const = 0;

  // Some tensors are read twice: their ranges are found before the first tile is written. The first
  // pass ends with finish_first_pass() of each of them.
  virtual bool has_first_pass(const TensorPlan& /*tensor*/) const { return false; }
  virtual void first_pass(std::size_t /*tile*/, std::size_t /*tensor*/, std::size_t /*worker*/) {}
  virtual void finish_first_pass(std::size_t /*tensor*/) {}

  // Reads, computes and writes one tile. Returns the bytes of the source that are done with it.
  // Throws LayerFault, CheckpointFault and filesystem_error.
  virtual std::uint64_t run(std::size_t tile, std::size_t tensor, std::size_t worker) = 0;

  // After a LayerFault: every tile of that tensor is looked at again, then the fault of the whole
  // tensor is thrown.
  virtual void begin_inspection(std::size_t /*tensor*/) {}
  virtual void inspect(std::size_t /*tile*/, std::size_t /*tensor*/, std::size_t /*worker*/) {}
  virtual void end_inspection(std::size_t /*tensor*/) {}
};

// The bytes that are done with a tile, where a tile has none of its own: equal parts of those of
// the tensor, which add up to all of them.
constexpr std::uint64_t equal_part(std::uint64_t bytes, std::size_t tile, std::size_t tiles) {
  const std::uint64_t part = bytes / tiles;
  return tile + 1 == tiles ? bytes - part * tile : part;
}

}  // namespace quarrow

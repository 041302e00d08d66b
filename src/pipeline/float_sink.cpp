// SPDX-License-Identifier: Apache-2.0
#include "pipeline/float_sink.h"

#include <algorithm>

#include "core/checked_math.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow {
namespace {

constexpr std::uint64_t kTileElements = std::uint64_t{64} << 10;

// How a tensor is cut: a plain one as if it were one row.
struct Cut {
  explicit Cut(const TensorPlan& tensor) {
    for (const std::uint64_t dimension : tensor.shape()) cols *= dimension;
    if (cols == 0) return;
    if (tensor.is_decoded()) {
      rows = tensor.shape()[0];
      cols /= rows;
    }
    rows_of_tile = std::max<std::uint64_t>(kTileElements / cols, 1);
    cols_of_tile = std::min(kTileElements, cols);
    in_row = divide_up(cols, cols_of_tile);
    tiles = divide_up(rows, rows_of_tile) * in_row;
  }

  Tile tile(std::size_t index) const {
    Tile tile{.row = index / in_row * rows_of_tile, .col = index % in_row * cols_of_tile};
    tile.rows = std::min(rows_of_tile, rows - tile.row);
    tile.cols = std::min(cols_of_tile, cols - tile.col);
    return tile;
  }
  std::uint64_t first_element(const Tile& tile) const { return tile.row * cols + tile.col; }

  std::uint64_t rows = 1;
  std::uint64_t cols = 1;
  std::uint64_t rows_of_tile = 1;
  std::uint64_t cols_of_tile = 1;
  std::uint64_t in_row = 1;  // tiles
  std::uint64_t tiles = 0;
};

}  // namespace

FloatSink::FloatSink(const Sources& sources, const FilePlan& plan, Outputs outputs,
                     const Context& context)
    : sources_(sources),
      plan_(plan),
      outputs_(outputs),
      buffers_(std::max<std::size_t>(context.threads, 1)) {}

std::size_t FloatSink::tile_count(const TensorPlan& tensor) const { return Cut(tensor).tiles; }

std::uint64_t FloatSink::run(std::size_t index, std::size_t tensor, std::size_t worker) {
  const TensorPlan& planned = plan_.tensors[tensor];
  const Cut cut(planned);
  const Tile tile = cut.tile(index);
  const DType dtype = *float_dtype(planned.dtype);
  const std::uint64_t first = cut.first_element(tile);
  const std::uint64_t count = tile.rows * tile.cols;
  const std::uint64_t position = planned.data_position + first * size_of(dtype);
  const File& output = *outputs_[planned.output];
  std::byte* const there = output.memory_at(position);
  std::byte* const values =
      there != nullptr ? there : buffers_[worker].room(count * size_of(dtype));
  const std::uint64_t fit = sources_.of(planned).convert(planned, tile, dtype, values, worker);
  if (fit < count) {
    throw LayerFault({.code = StatusCode::kValueOverflow, .position = first + fit}, tensor);
  }
  output.write_at(values, static_cast<std::size_t>(count * size_of(dtype)), position);
  return equal_part(planned.bytes_in(), index, cut.tiles);
}

void FloatSink::begin_inspection(std::size_t tensor) {
  overflows_.assign(tile_count(plan_.tensors[tensor]), 0);
}

void FloatSink::inspect(std::size_t index, std::size_t tensor, std::size_t worker) {
  const TensorPlan& planned = plan_.tensors[tensor];
  const Tile tile = Cut(planned).tile(index);
  const DType dtype = *float_dtype(planned.dtype);
  std::byte* const values = buffers_[worker].room(tile.rows * tile.cols * size_of(dtype));
  overflows_[index] = sources_.of(planned).convert(planned, tile, dtype, values, worker);
}

void FloatSink::end_inspection(std::size_t tensor) {
  const Cut cut(plan_.tensors[tensor]);
  for (std::size_t index = 0; index < overflows_.size(); ++index) {
    const Tile tile = cut.tile(index);
    if (overflows_[index] == tile.rows * tile.cols) continue;
    throw LayerFault({.code = StatusCode::kValueOverflow,
                      .position = cut.first_element(tile) + overflows_[index]},
                     tensor);
  }
}

}  // namespace quarrow

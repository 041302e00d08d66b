// SPDX-License-Identifier: Apache-2.0
#include "pipeline/layer_tiles.h"

#include <algorithm>

#include "quantize/run_tile.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {

LayerTiles::LayerTiles(const SafetensorsFile& source, const FilePlan& plan, const File& output,
                       const FileJobOptions& options, const Context& context)
    : source_(source),
      plan_(plan),
      writer_(plan, output),
      options_(options),
      target_(context.target),
      buffers_(std::max<std::size_t>(context.threads, 1)) {
  for (const Tile& tile : plan.quantize.tiles) {
    const LayerPlan& layer = plan.quantize.layers[tile.layer];
    const TilePlacement at = placement(layer, tile);
    elements_ = std::max(elements_, tile.rows * tile.cols);
    input_bytes_ = std::max(input_bytes_, tile.rows * tile.cols * size_of(layer.dtype));
    // Room for the padding of any alignment.
    code_bytes_ = std::max(code_bytes_, tile.rows * (at.code_row_bytes + kMaxRowAlignment));
    scale_count_ = std::max(scale_count_, tile.rows * at.scale_row_count);
  }
  if (plan.quantize.range_pass) ranges_.resize(plan.quantize.tiles.size());
  if (options.measure_error) errors_.resize(plan.quantize.tiles.size());
}

TileBuffers& LayerTiles::buffers(std::size_t worker) {
  TileBuffers& buffers = buffers_[worker];
  if (buffers.input == nullptr) {
    buffers.codes = std::make_unique_for_overwrite<std::uint8_t[]>(code_bytes_);
    buffers.scales = std::make_unique_for_overwrite<float[]>(scale_count_);
    buffers.zero_points = std::make_unique_for_overwrite<std::uint8_t[]>(scale_count_);
    if (options_.measure_error) {
      buffers.restored = std::make_unique_for_overwrite<float[]>(elements_);
    }
    buffers.input = std::make_unique_for_overwrite<std::byte[]>(input_bytes_);
    buffers.input_span = {buffers.input.get(), static_cast<std::size_t>(input_bytes_)};
  }
  return buffers;
}

void LayerTiles::find_range(std::size_t tile, std::size_t tensor, std::size_t worker,
                            TileReport& report) {
  const InputTile input = read(plan_.quantize.tiles[tile], tensor, buffers(worker));
  shared_kernels(target_).range(input, ranges_[tile], report);
}

void LayerTiles::join_ranges(const LayerPlan& layer, std::span<TileReport> reports) {
  std::vector<Range> joined(range_count(layer));
  const std::span tiles =
      std::span(plan_.quantize.tiles).subspan(layer.first_tile, layer.tile_count);
  const std::span ranges = std::span(ranges_).subspan(layer.first_tile, layer.tile_count);
  for (std::size_t index = 0; index < tiles.size(); ++index) {
    widen(joined[range_index(layer, tiles[index])], ranges[index]);
  }
  for (std::size_t index = 0; index < tiles.size(); ++index) {
    ranges[index] = joined[range_index(layer, tiles[index])];
    if (writes_scales(layer, tiles[index]) && range_overflows(layer, ranges[index], target_)) {
      reports[index].range_overflow = true;
      reports[index].first_overflow = tiles[index].row * layer.cols + tiles[index].col;
    }
  }
}

void LayerTiles::quantize(std::size_t index, std::size_t tensor, std::size_t worker, bool write,
                          TileReport& report) {
  const Tile& tile = plan_.quantize.tiles[index];
  const LayerPlan& layer = plan_.quantize.layers[tile.layer];
  const TilePlacement at = placement(layer, tile);
  TileBuffers& mine = buffers(worker);
  const InputTile input = read(tile, tensor, mine);

  TileOutput output;
  output.first = {mine.codes.get(), mine.scales.get(),
                  layer.geometry.zero_points ? mine.zero_points.get() : nullptr};
  output.codes_row_bytes = stored_row_bytes(layer, tile, plan_.tensors[tensor].layout->storage);
  output.scales_row_stride = layer.geometry.scale_rows == 1 ? 0 : at.scale_row_count;
  const Range* range = layer.range_pass ? &ranges_[index] : nullptr;
  quantize_tile(layer, input, output, range, options_.policy, target_, report);
  if (!write || !to_status(tensor, report, options_.policy).ok()) return;
  if (options_.measure_error) {
    measure_tile(layer, input, output, target_, mine.restored.get(), errors_[index]);
  }
  writer_.write(tile, tensor, {output.first.codes, output.first.scales, output.first.zero_points});
}

std::vector<ErrorSums> LayerTiles::errors() const {
  std::vector<ErrorSums> sums;
  if (!options_.measure_error) return sums;
  sums.resize(plan_.quantize.layers.size());
  for (std::size_t index = 0; index < errors_.size(); ++index) {
    sums[plan_.quantize.tiles[index].layer].add(errors_[index]);
  }
  return sums;
}

InputTile LayerTiles::read(const Tile& tile, std::size_t tensor, TileBuffers& mine) const {
  const LayerPlan& layer = plan_.quantize.layers[tile.layer];
  const std::size_t element_bytes = size_of(layer.dtype);
  const std::uint64_t position = source_.data_start + source_.tensors[tensor].begin +
                                 (tile.row * layer.cols + tile.col) * element_bytes;
  const std::size_t bytes = tile.rows * tile.cols * element_bytes;
  const std::size_t got = source_.file.read_at(mine.input.get(), bytes, position);
  if (got < bytes) {
    CheckpointFault fault(FileRule::kShrank, source_.file.path());
    fault.tensor = std::string(source_.tensors[tensor].name);
    fault.position = position + got;
    throw fault;
  }
  return input_tile(layer, tile, mine.input.get(),
                    static_cast<std::ptrdiff_t>(tile.cols * element_bytes));
}

}  // namespace quarrow

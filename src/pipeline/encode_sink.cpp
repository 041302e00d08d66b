// SPDX-License-Identifier: Apache-2.0
#include "pipeline/encode_sink.h"

#include <algorithm>

#include "core/floating_point_mode.h"
#include "quantize/run_tile.h"

namespace quarrow {

EncodeSink::EncodeSink(const Sources& sources, const FilePlan& plan, Outputs outputs,
                       const FileJobOptions& options, const Context& context)
    : sources_(sources),
      plan_(plan),
      writer_(plan, outputs),
      options_(options),
      target_(context.target),
      buffers_(std::max<std::size_t>(context.threads, 1)) {
  if (plan.layers.range_pass) {
    ranges_.resize(plan.layers.tiles.size());
    reports_.resize(plan.layers.tiles.size());
  }
  if (options.measure_error) errors_.resize(plan.layers.tiles.size());
}

std::size_t EncodeSink::tile_count(const TensorPlan& tensor) const {
  return plan_.layers.layers[tensor.layer].tile_count;
}

bool EncodeSink::has_first_pass(const TensorPlan& tensor) const {
  return plan_.layers.layers[tensor.layer].range_pass;
}

void EncodeSink::first_pass(std::size_t tile, std::size_t tensor, std::size_t worker) {
  const std::size_t index = layer_of(tensor).first_tile + tile;
  const InputTile input = read(plan_.layers.tiles[index], tensor, worker);
  find_range(input, target_, ranges_[index], reports_[index]);
}

void EncodeSink::finish_first_pass(std::size_t tensor) {
  const DefaultFloatingPointMode mode;
  const LayerPlan& layer = layer_of(tensor);
  std::vector<Range> joined(range_count(layer));
  const std::span tiles = std::span(plan_.layers.tiles).subspan(layer.first_tile, layer.tile_count);
  const std::span ranges = std::span(ranges_).subspan(layer.first_tile, layer.tile_count);
  const std::span reports = std::span(reports_).subspan(layer.first_tile, layer.tile_count);
  for (std::size_t index = 0; index < tiles.size(); ++index) {
    widen(joined[range_index(layer, tiles[index])], ranges[index]);
  }
  for (std::size_t index = 0; index < tiles.size(); ++index) {
    ranges[index] = joined[range_index(layer, tiles[index])];
    if (starts_span(layer, tiles[index]) && range_overflows(layer, ranges[index])) {
      reports[index].range_overflow = true;
      reports[index].first_overflow = tiles[index].row * layer.cols + tiles[index].col;
    }
  }
  throw_fault(tensor, reports);
}

std::uint64_t EncodeSink::run(std::size_t tile, std::size_t tensor, std::size_t worker) {
  const LayerPlan& layer = layer_of(tensor);
  TileReport report;
  quantize(layer.first_tile + tile, tensor, worker, /*write=*/true, report);
  // The range pass has reported already.
  if (!layer.range_pass) throw_fault(tensor, {&report, 1});
  return equal_part(plan_.tensors[tensor].bytes_in(), tile, layer.tile_count);
}

void EncodeSink::begin_inspection(std::size_t tensor) {
  inspected_.assign(layer_of(tensor).tile_count, {});
}

void EncodeSink::inspect(std::size_t tile, std::size_t tensor, std::size_t worker) {
  quantize(layer_of(tensor).first_tile + tile, tensor, worker, /*write=*/false, inspected_[tile]);
}

void EncodeSink::end_inspection(std::size_t tensor) { throw_fault(tensor, inspected_); }

InputTile EncodeSink::read(const Tile& tile, std::size_t tensor, std::size_t worker) const {
  const TensorPlan& planned = plan_.tensors[tensor];
  const LayerPlan& layer = layer_of(tensor);
  const std::byte* data = sources_.of(planned).read(planned, tile, worker);
  return input_tile(layer, tile, data,
                    static_cast<std::ptrdiff_t>(tile.cols * size_of(layer.dtype)));
}

void EncodeSink::quantize(std::size_t index, std::size_t tensor, std::size_t worker, bool write,
                          TileReport& report) {
  const Tile& tile = plan_.layers.tiles[index];
  const LayerPlan& layer = plan_.layers.layers[tile.layer];
  Buffers& mine = buffers_[worker];
  const InputTile input = read(tile, tensor, worker);

  const Storage& storage = plan_.tensors[tensor].layout->storage;
  TileOutput output;
  PerRole<PartInput> made;  // the same, to be read
  PerRole<std::byte*> parts;
  for (const PartSpec& part : layer.encoding.parts()) {
    const std::uint64_t stride =
        part.row_stride(stored_row_bytes(part, slice_of(part, tile), storage.parts[part.role]));
    std::byte* const scratch = mine.parts.room(part, tile);
    parts[part.role] = scratch;
    if (part.role == Role::kCodes && write) {
      parts[part.role] = writer_.codes_place(tile, tensor, scratch);
      output.stream_codes = parts[part.role] != scratch && streams_codes(plan_.layers);
    }
    output.parts[part.role] = {parts[part.role], stride};
    made[part.role] = {parts[part.role], stride};
  }
  const Range* range = layer.range_pass ? &ranges_[index] : nullptr;
  quantize_tile(layer, input, output, range, options_.policy, target_, report);
  if (!write || !to_status(tensor, report, options_.policy).ok()) return;
  if (options_.measure_error) {
    auto* const restored =
        reinterpret_cast<float*>(mine.restored.room(tile.rows * tile.cols * sizeof(float)));
    measure_tile(layer, input, made, target_, restored, errors_[index]);
  }
  writer_.write(tile, tensor, parts);
}

void EncodeSink::throw_fault(std::size_t tensor, std::span<const TileReport> reports) const {
  TileReport total;
  for (const TileReport& report : reports) add_report(total, report);
  const Status status = to_status(tensor, total, options_.policy);
  if (!status.ok()) throw LayerFault(status, tensor);
}

std::vector<ErrorSums> EncodeSink::errors() const {
  std::vector<ErrorSums> sums;
  if (!options_.measure_error) return sums;
  sums.resize(plan_.layers.layers.size());
  const DefaultFloatingPointMode mode;
  for (std::size_t index = 0; index < errors_.size(); ++index) {
    sums[plan_.layers.tiles[index].layer].add(errors_[index]);
  }
  return sums;
}

}  // namespace quarrow

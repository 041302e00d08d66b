// SPDX-License-Identifier: Apache-2.0
#include "quarrow/pipeline/read_layer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "core/floating_point_mode.h"
#include "kernels/format_kernels.h"
#include "pipeline/code_bits.h"
#include "pipeline/layer_reader.h"
#include "pipeline/layer_writer.h"
#include "quantize/run_tile.h"

namespace quarrow {
namespace {

constexpr std::uint64_t kReadBytes = std::uint64_t{1} << 20;

void read_layer_rows(const ValuesInFile& source, Target target, std::uint64_t first,
                     std::uint64_t rows, float* values) {
  const LayerPlan& layer = *source.plan;
  if (rows * layer.cols == 0) return;
  const LayerReader reader(*source.file, *source.layer, layer, target);
  const Tile tile{.row = first, .rows = rows, .cols = layer.cols};
  TileMemory memory;
  dequantize_tile(layer, tile, reader.parts(tile, memory), target, {values, DType::kF32},
                  layer.cols * sizeof(float));
}

void read_values(const Checkpoint& file, const TensorEntry& tensor, Target target,
                 std::uint64_t first, std::uint64_t count, float* values) {
  const DType dtype = *float_dtype(tensor.dtype);
  const std::uint64_t step = kReadBytes / size_of(dtype);
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kReadBytes);
  for (std::uint64_t done = 0; done < count; done += step) {
    const std::uint64_t piece = std::min(step, count - done);
    const std::byte* data =
        file.read(tensor, (first + done) * size_of(dtype), piece * size_of(dtype), buffer.get());
    shared_kernels(target).to_f32(data, dtype, static_cast<std::size_t>(piece), values + done);
  }
}

// The kernel passes over positions whose original is not finite: here every position with NaN or
// Inf in one of both becomes such. Whether both were the same there.
bool same_where_not_finite(std::span<float> values, std::span<const float> others) noexcept {
  bool same = true;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float value = values[i];
    const float other = others[i];
    if (std::isfinite(value) && std::isfinite(other)) continue;
    same = same && (value == other || (std::isnan(value) && std::isnan(other)));
    values[i] = std::numeric_limits<float>::quiet_NaN();
  }
  return same;
}

// Some rows at a time: their padding has no place in `to`.
void read_codes(const LayerReader& reader, const StoredLayer& stored, const LayerPlan& layer,
                std::byte* to) {
  const PartSpec& part = layer.encoding.codes();
  if (part.bytes() == 0) return;
  const auto stored_bytes = stored_row_bytes(part, {.rows = 1, .row_bytes = part.row_bytes},
                                             stored.storage->parts[Role::kCodes]);
  const bool flip = layer.format.symmetric && stored.storage->unsigned_codes;
  const auto flipped = std::byte{flip ? sign_bits(layer.format.spec->bits) : std::uint8_t{0}};
  const auto mask = std::byte{last_byte_mask(layer)};
  const std::uint64_t step = std::max<std::uint64_t>(kReadBytes / stored_bytes, 1);
  const auto buffer =
      std::make_unique_for_overwrite<std::byte[]>(std::min(step, layer.rows) * stored_bytes);
  for (std::uint64_t first = 0; first < layer.rows; first += step) {
    const Tile tile{.row = first, .rows = std::min(step, layer.rows - first), .cols = layer.cols};
    const std::byte* codes = reader.part(part, tile, buffer.get());
    for (std::uint64_t row = 0; row < tile.rows; ++row) {
      std::transform(codes, codes + part.row_bytes, to,
                     [flipped](std::byte code) { return code ^ flipped; });
      to[part.row_bytes - 1] &= mask;
      codes += stored_bytes;
      to += part.row_bytes;
    }
  }
}

std::uint64_t cols_of(std::span<const std::uint64_t> shape) {
  std::uint64_t cols = 1;
  for (std::size_t axis = 1; axis < shape.size(); ++axis) cols *= shape[axis];
  return cols;
}

}  // namespace

void read_layer(const Checkpoint& file, const StoredLayer& stored, const LayerPlan& layer,
                Target target, const QuantizedSpan& output) {
  const DefaultFloatingPointMode mode;
  const LayerReader reader(file, stored, layer, target);
  read_codes(reader, stored, layer, output[Role::kCodes]);
  const Tile whole{.rows = layer.rows, .cols = layer.cols};
  for (const PartSpec& part : layer.encoding.parts()) {
    // Rows without columns have scales all the same.
    if (part.role == Role::kCodes || part.bytes() == 0) continue;
    const std::byte* const read = reader.part(part, whole, output[part.role]);
    if (read != output[part.role]) std::copy_n(read, part.bytes(), output[part.role]);
  }
}

LayerPlan as_in_memory(const LayerPlan& layer) {
  LayerPlan plain = layer;
  plain.unsigned_codes = false;
  return plain;
}

void read_rows(const ValuesInFile& source, Target target, std::uint64_t first, std::uint64_t rows,
               float* values) {
  const DefaultFloatingPointMode mode;
  if (source.layer != nullptr) return read_layer_rows(source, target, first, rows, values);
  const std::uint64_t cols = cols_of(source.shape());
  read_values(*source.file, *source.tensor, target, first * cols, rows * cols, values);
}

bool compare_values(const ValuesInFile& original, const ValuesInFile& other, Target target,
                    Poll& poll, ErrorSums& sums) {
  const DefaultFloatingPointMode mode;
  const std::uint64_t cols = cols_of(original.shape());
  const std::uint64_t rows = original.shape().empty() ? 1 : original.shape()[0];
  const std::uint64_t row_bytes = std::max<std::uint64_t>(cols * sizeof(float), 1);
  const std::uint64_t step = std::max<std::uint64_t>(kReadBytes / row_bytes, 1);
  const auto count = static_cast<std::size_t>(std::min(step, rows) * cols);
  const auto values = std::make_unique_for_overwrite<float[]>(count);
  const auto others = std::make_unique_for_overwrite<float[]>(count);
  for (std::uint64_t first = 0; first < rows; first += step) {
    if (!poll.keep_going()) return false;
    const std::uint64_t piece = std::min(step, rows - first);
    read_rows(original, target, first, piece, values.get());
    read_rows(other, target, first, piece, others.get());
    if (!same_where_not_finite({values.get(), piece * cols}, {others.get(), piece * cols})) {
      constexpr double kInfinity = std::numeric_limits<double>::infinity();
      sums.add({.max_abs = kInfinity, .squared_error = kInfinity, .count = 1});
    }
    ErrorLanes lanes;
    shared_kernels(target).add_errors(values.get(), others.get(),
                                      static_cast<std::size_t>(piece * cols), lanes);
    add_lanes(lanes, sums);
  }
  return true;
}

bool same_bytes(const Checkpoint& file, const TensorEntry& tensor, const Checkpoint& other_file,
                const TensorEntry& other, Poll& poll) {
  if (tensor.dtype != other.dtype || tensor.bytes() != other.bytes()) return false;
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(2 * kReadBytes);
  for (std::uint64_t offset = 0; offset < tensor.bytes(); offset += kReadBytes) {
    const std::uint64_t bytes = std::min(kReadBytes, tensor.bytes() - offset);
    const std::byte* left = file.read(tensor, offset, bytes, buffer.get());
    const std::byte* right = other_file.read(other, offset, bytes, buffer.get() + kReadBytes);
    if (!poll.keep_going() || std::memcmp(left, right, static_cast<std::size_t>(bytes)) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace quarrow

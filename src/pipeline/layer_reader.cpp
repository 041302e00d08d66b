// SPDX-License-Identifier: Apache-2.0
#include "pipeline/layer_reader.h"

#include <cstring>
#include <vector>

#include "kernels/format_kernels.h"
#include "pipeline/layer_writer.h"

namespace quarrow {
namespace {

constexpr std::uint64_t kWordBytes = 4;

}  // namespace

const std::uint8_t* LayerReader::codes(const Tile& tile, void* buffer) const {
  const std::uint64_t row_bytes = stored_row_bytes(layer_, {.cols = layer_.cols}, *stored_.storage);
  const TilePlacement at = placement(layer_, tile);
  const std::uint64_t in_row = at.code_offset - tile.row * layer_.geometry.code_row_bytes;
  const std::uint64_t bytes = (tile.rows - 1) * row_bytes + at.code_row_bytes;
  return reinterpret_cast<const std::uint8_t*>(
      file_.read(*stored_.codes, tile.row * row_bytes + in_row, bytes, buffer));
}

void LayerReader::scales(const Tile& tile, float* values) const {
  const TilePlacement at = placement(layer_, tile);
  const std::uint64_t rows = layer_.geometry.scale_rows == 1 ? 1 : tile.rows;
  const std::uint64_t count = rows * at.scale_row_count;
  const DType dtype = *float_dtype(stored_.scales->dtype);
  const std::uint64_t bytes = count * size_of(dtype);
  // Narrow ones come to lie in the upper half, and are widened from the first one on.
  std::byte* end = reinterpret_cast<std::byte*>(values + count);
  const std::byte* stored =
      file_.read(*stored_.scales, at.scale_offset * size_of(dtype), bytes, end - bytes);
  shared_kernels(target_).decode(stored, dtype, static_cast<std::size_t>(count), values);
}

void LayerReader::zero_points(const Tile& tile, std::uint8_t* values) const {
  const auto bits = static_cast<std::uint64_t>(layer_.format.spec->bits);
  const std::uint64_t per_word = 8 * kWordBytes / bits;
  const std::uint32_t mask = (1U << bits) - 1;
  const TilePlacement at = placement(layer_, tile);
  const std::uint64_t groups = layer_.geometry.groups;
  const std::uint64_t count = at.scale_row_count;
  const std::uint64_t first_group = at.scale_offset - tile.row * groups;
  std::vector<std::uint32_t> buffer(count);
  const std::byte* words = nullptr;
  for (std::uint64_t row = 0; row < tile.rows; ++row) {
    const std::uint64_t layer_row = tile.row + row;
    if (row == 0 || layer_row % per_word == 0) {
      const std::uint64_t first_word = layer_row / per_word * groups + first_group;
      words = file_.read(*stored_.zero_points, first_word * kWordBytes, count * kWordBytes,
                         buffer.data());
    }
    const std::uint64_t shift = layer_row % per_word * bits;
    for (std::uint64_t group = 0; group < count; ++group) {
      std::uint32_t word = 0;
      std::memcpy(&word, words + group * kWordBytes, kWordBytes);
      values[row * count + group] = static_cast<std::uint8_t>(word >> shift & mask);
    }
  }
}

}  // namespace quarrow

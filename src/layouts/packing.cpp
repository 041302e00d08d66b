// SPDX-License-Identifier: Apache-2.0
#include "layouts/packing.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace quarrow {
namespace {

using Word = std::uint32_t;

struct Columns {
  Columns(const LayerPlan& layer, const PartSpec& part)
      : bits(static_cast<std::uint64_t>(layer.format.spec->bits)),
        per_word(8 * sizeof(Word) / bits),
        row_bytes(part.row_bytes * sizeof(Word)) {}

  std::uint64_t bits;
  std::uint64_t per_word;   // values
  std::uint64_t row_bytes;  // of words
};

void write_words(const LayerPlan& layer, const PartSpec& part, std::span<const std::byte> values,
                 const File& file, std::uint64_t position) {
  const Columns columns(layer, part);
  std::vector<Word> words(part.row_bytes);
  for (std::uint64_t first = 0; first < part.rows; first += columns.per_word) {
    std::ranges::fill(words, Word{0});
    const std::uint64_t rows = std::min(columns.per_word, part.rows - first);
    for (std::uint64_t row = 0; row < rows; ++row) {
      for (std::uint64_t col = 0; col < part.row_bytes; ++col) {
        const auto value = static_cast<Word>(values[(first + row) * part.row_bytes + col]);
        words[col] |= value << (row * columns.bits);
      }
    }
    file.write_at(words.data(), columns.row_bytes, position);
    position += columns.row_bytes;
  }
}

void read_words(const LayerPlan& layer, const PartSpec& part, const Tile& tile,
                const Checkpoint& file, const TensorEntry& entry, std::byte* values) {
  const Columns columns(layer, part);
  const Word mask = (Word{1} << columns.bits) - 1;
  const PartSlice slice = slice_of(part, tile);
  const std::uint64_t first_col = slice.offset - tile.row * part.row_bytes;
  std::vector<Word> buffer(slice.row_bytes);
  const std::byte* words = nullptr;
  for (std::uint64_t row = tile.row; row < tile.row + slice.rows; ++row) {
    if (row == tile.row || row % columns.per_word == 0) {
      words =
          file.read(entry, row / columns.per_word * columns.row_bytes + first_col * sizeof(Word),
                    slice.row_bytes * sizeof(Word), buffer.data());
    }
    const std::uint64_t shift = row % columns.per_word * columns.bits;
    for (std::uint64_t col = 0; col < slice.row_bytes; ++col) {
      Word word = 0;
      std::memcpy(&word, words + col * sizeof(Word), sizeof(Word));
      *values++ = static_cast<std::byte>(word >> shift & mask);
    }
  }
}

}  // namespace

const Packing kWordsDownColumns{write_words, read_words};

}  // namespace quarrow

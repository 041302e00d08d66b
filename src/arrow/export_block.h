// SPDX-License-Identifier: Apache-2.0
//
// The columns in which quantized layers leave, and the structs of Arrow's C data interface for
// them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "quarrow/arrow/c_data.h"

namespace quarrow {

enum class Column : std::uint8_t {
  kName,
  kCodes,
  kScales,
  kZeroPoints,
  kShape,
  kFormat,
  kParams,
  kTensorScale,
  kScaleCodes,
  kChannelScales,
  kCodebook,
};
inline constexpr std::size_t kColumns = 11;

// The type of a column, and of the only child of one that is a list.
struct ColumnSpec {
  Column column;
  const char* name;
  const char* format;
  const char* item_format;  // null: no list
  std::int64_t flags;

  constexpr bool is_list() const noexcept { return item_format != nullptr; }
  constexpr bool is_wide() const noexcept { return format[0] == 'Z'; }  // offsets of 64 bits
};

inline constexpr std::array<ColumnSpec, kColumns> kColumnSpecs{{
    {Column::kName, "layer_name", "u", nullptr, ARROW_FLAG_NULLABLE},
    {Column::kCodes, "codes", "Z", nullptr, 0},
    {Column::kScales, "scales", "+l", "f", ARROW_FLAG_NULLABLE},
    {Column::kZeroPoints, "zero_points", "+l", "C", ARROW_FLAG_NULLABLE},
    {Column::kShape, "shape", "+l", "l", 0},
    {Column::kFormat, "format", "u", nullptr, 0},
    {Column::kParams, "params", "u", nullptr, 0},
    {Column::kTensorScale, "tensor_scale", "f", nullptr, ARROW_FLAG_NULLABLE},
    {Column::kScaleCodes, "scale_codes", "Z", nullptr, ARROW_FLAG_NULLABLE},
    {Column::kChannelScales, "channel_scales", "+l", "f", ARROW_FLAG_NULLABLE},
    {Column::kCodebook, "codebook", "+l", "f", ARROW_FLAG_NULLABLE},
}};

// One of something for each column.
template <typename T>
struct PerColumn {
  std::array<T, kColumns> items = {};

  T& operator[](Column column) noexcept { return items[static_cast<std::size_t>(column)]; }
  const T& operator[](Column column) const noexcept {
    return items[static_cast<std::size_t>(column)];
  }
};

// A schema or an array, its columns and their items: one block, which lives until the last of them
// is released, since a consumer may move any of them out of the others. The struct of the whole
// lies with the consumer.
template <typename Struct>
struct ExportBlock {
  static constexpr std::size_t kLists = [] {
    std::size_t count = 0;
    for (const ColumnSpec& spec : kColumnSpecs) {
      if (spec.is_list()) ++count;
    }
    return count;
  }();

  std::atomic<std::size_t> unreleased = 1 + kColumns + kLists;
  PerColumn<Struct> columns;
  PerColumn<Struct> items;  // of those that are lists
  std::array<Struct*, kColumns> column_pointers;
  PerColumn<Struct*> item_pointers;

  ExportBlock() {
    for (std::size_t i = 0; i < kColumns; ++i) {
      column_pointers[i] = &columns.items[i];
      item_pointers.items[i] = &items.items[i];
    }
  }

  // The structs of the whole, the columns and the items, with their children and who releases them.
  template <typename Block>
  static void connect(Block* block, Struct& whole) {
    const auto own = [block](Struct& one, std::size_t children, Struct** pointers) {
      one.n_children = static_cast<std::int64_t>(children);
      one.children = pointers;
      one.release = release<Block>;
      one.private_data = block;
    };
    own(whole, kColumns, block->column_pointers.data());
    for (const ColumnSpec& spec : kColumnSpecs) {
      const bool is_list = spec.is_list();
      own(block->columns[spec.column], is_list ? 1 : 0,
          is_list ? &block->item_pointers[spec.column] : nullptr);
      if (is_list) own(block->items[spec.column], 0, nullptr);
    }
  }

 private:
  template <typename Block>
  static void release(Struct* one) {
    for (std::int64_t i = 0; i < one->n_children; ++i) {
      Struct* const child = one->children[i];
      if (child->release != nullptr) child->release(child);
    }
    auto* const block = static_cast<Block*>(one->private_data);
    one->release = nullptr;
    if (block->unreleased.fetch_sub(1, std::memory_order_acq_rel) == 1) delete block;
  }
};

}  // namespace quarrow

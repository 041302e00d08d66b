// SPDX-License-Identifier: Apache-2.0
#include "quarrow/arrow/layer_export.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "arrow/export_block.h"
#include "quarrow/quantize/format_fields.h"

namespace quarrow {
namespace {

constexpr std::uint64_t kMostItems = std::numeric_limits<std::int32_t>::max();

struct SchemaBlock : ExportBlock<ArrowSchema> {};

// Of a column whose values differ in length, or may be null.
struct RowLayout {
  std::vector<std::int32_t> narrow;  // offsets, in items
  std::vector<std::int64_t> wide;    // the same of large_binary, in bytes
  std::vector<std::uint8_t> validity;
  std::int64_t nulls = 0;
};

// Owns whatever is not the rows' own memory.
struct ArrayBlock : ExportBlock<ArrowArray> {
  std::shared_ptr<const void> memory;
  PerColumn<RowLayout> layouts;
  std::vector<std::int64_t> no_offsets;  // of columns without any value: all zero
  std::vector<std::uint8_t> no_values;   // their validity
  std::vector<std::int64_t> dimensions;
  std::vector<float> tensor_scales;
  std::string names;
  std::string formats;
  std::string params;
  std::array<const void*, 1> no_buffers{};
  PerColumn<std::array<const void*, 3>> buffers;
  PerColumn<std::array<const void*, 2>> item_buffers;
};

void fill(ArrowArray& array, std::size_t length, const void** buffers, std::int64_t count,
          std::int64_t nulls = 0) {
  array.length = static_cast<std::int64_t>(length);
  array.null_count = nulls;
  array.n_buffers = count;
  array.buffers = buffers;
}

// A JSON object, made by hand: none of its words needs an escape, and the library would take a
// third of what exporting a batch does.
class Params {
 public:
  void add(std::string_view key, std::string_view value) {
    text_.append(text_.size() == 1 ? "\"" : ",\"").append(key).append("\":").append(value);
  }
  void add_word(std::string_view key, std::string_view word) {
    add(key, "\"");
    text_.append(word).append("\"");
  }
  std::string finish() { return std::move(text_) + "}"; }

 private:
  std::string text_ = "{";
};

std::string params_of(const LayerPlan& layer) {
  const Format& format = layer.format;
  Params params;
  for (const FieldSpec& field : format_fields()) {
    if (!has_field(*format.spec, field.field) || !field.matters(format)) continue;
    const FieldValue value = field.get(format);
    if (const auto* word = std::get_if<std::string_view>(&value)) {
      params.add_word(field.name, *word);
    } else if (const auto* number = std::get_if<std::uint64_t>(&value)) {
      params.add(field.name, std::to_string(*number));
    } else {
      params.add(field.name, std::get<bool>(value) ? "true" : "false");
    }
  }
  params.add_word("dtype", name_of(layer.dtype));
  return params.finish();
}

void set_valid(std::vector<std::uint8_t>& bitmap, std::size_t row) {
  bitmap[row / 8] = static_cast<std::uint8_t>(bitmap[row / 8] | (1U << (row % 8)));
}

// The column of a part. That of the tensor's scale is no run of the rows' memory: a value each.
Column column_of(const PartSpec& part) noexcept {
  switch (part.role) {
    case Role::kCodes:
      return Column::kCodes;
    case Role::kScales:
      return part.type == ElementType::kF32 ? Column::kScales : Column::kScaleCodes;
    case Role::kZeroPoints:
      return Column::kZeroPoints;
    case Role::kTensorScale:
      return Column::kTensorScale;
    case Role::kChannelScales:
      return Column::kChannelScales;
    case Role::kCodebook:
      break;
  }
  return Column::kCodebook;
}

// The columns that are runs of parts.
constexpr std::array kRuns = {Column::kCodes,      Column::kScales,        Column::kZeroPoints,
                              Column::kScaleCodes, Column::kChannelScales, Column::kCodebook};

const PartSpec* find_part(const ResultRow& row, Column column) noexcept {
  for (const PartSpec& part : row.layer.encoding.parts()) {
    if (column_of(part) == column) return &part;
  }
  return nullptr;
}

// Sums that must fit in the 32-bit offsets of lists and strings.
struct Items {
  PerRole<std::uint64_t> elements;
  std::uint64_t dimensions = 0;
  std::uint64_t text = 0;  // generously

  bool add(const ResultRow& row) {
    constexpr std::uint64_t kParamsText = 300;
    bool fits = true;
    for (const PartSpec& part : row.layer.encoding.parts()) {
      if (part.role == Role::kCodes) continue;
      elements[part.role] += part.rows * part.columns();
      fits = fits && elements[part.role] <= kMostItems;
    }
    dimensions += row.shape.size();
    text += kParamsText + (row.name ? row.name->size() : 0);
    return fits && dimensions <= kMostItems && text <= kMostItems;
  }
};

}  // namespace

void export_schema(ArrowSchema* out) {
  auto block = std::make_unique<SchemaBlock>();
  for (const ColumnSpec& spec : kColumnSpecs) {
    ArrowSchema& column = block->columns[spec.column];
    column.name = spec.name;
    column.format = spec.format;
    column.flags = spec.flags;
    if (!spec.is_list()) continue;
    ArrowSchema& item = block->items[spec.column];
    item.name = "item";
    item.format = spec.item_format;
    item.flags = ARROW_FLAG_NULLABLE;
  }
  *out = {};
  out->name = "";
  out->format = "+s";
  SchemaBlock::connect(block.release(), *out);
}

std::size_t rows_of_one_array(std::span<const ResultRow> rows) {
  if (rows.empty()) return 0;
  Items items;
  PerRole<const std::byte*> next;  // null until a row has that part
  std::size_t count = 0;
  for (const ResultRow& row : rows) {
    bool adjacent = row.memory == rows[0].memory;
    for (const PartSpec& part : row.layer.encoding.parts()) {
      if (column_of(part) == Column::kTensorScale) continue;
      const std::byte* const begin = row.stored[part.role];
      adjacent = adjacent && (next[part.role] == nullptr || begin == next[part.role]);
      next[part.role] = begin + part.bytes();
    }
    if (!items.add(row) || !adjacent) break;
    ++count;
  }
  if (count == 0) throw std::length_error("a layer has more scales than an Arrow list can hold");
  return count;
}

namespace {

// Lays out the values of a column, one after the other.
class ColumnLayout {
 public:
  ColumnLayout(ArrayBlock& block, Column column, std::size_t rows, bool nullable)
      : layout_(block.layouts[column]),
        wide_(kColumnSpecs[static_cast<std::size_t>(column)].is_wide()) {
    if (nullable) layout_.validity.resize(rows / 8 + 1);
    if (wide_) {
      layout_.wide.reserve(rows + 1);
      layout_.wide.push_back(0);
    } else {
      layout_.narrow.reserve(rows + 1);
      layout_.narrow.push_back(0);
    }
  }

  // Of so many items or bytes.
  void add(std::size_t row, std::uint64_t count) {
    if (!layout_.validity.empty()) set_valid(layout_.validity, row);
    advance(count);
  }
  void add_null() {
    ++layout_.nulls;
    advance(0);
  }

 private:
  void advance(std::uint64_t count) {
    if (wide_) {
      layout_.wide.push_back(layout_.wide.back() + static_cast<std::int64_t>(count));
    } else {
      layout_.narrow.push_back(layout_.narrow.back() + static_cast<std::int32_t>(count));
    }
  }

  RowLayout& layout_;
  bool wide_;
};

void lay_out_texts(std::span<const ResultRow> rows, ArrayBlock& block) {
  ColumnLayout names(block, Column::kName, rows.size(), /*nullable=*/true);
  ColumnLayout shapes(block, Column::kShape, rows.size(), /*nullable=*/false);
  ColumnLayout formats(block, Column::kFormat, rows.size(), /*nullable=*/false);
  ColumnLayout params(block, Column::kParams, rows.size(), /*nullable=*/false);
  std::string text;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const ResultRow& row = rows[i];
    const LayerPlan& layer = row.layer;
    if (row.name) {
      names.add(i, row.name->size());
      block.names += *row.name;
    } else {
      names.add_null();
    }
    const bool like_before = i != 0 && layer.format == rows[i - 1].layer.format &&
                             layer.dtype == rows[i - 1].layer.dtype;
    if (!like_before) text = params_of(layer);
    block.params += text;
    params.add(i, text.size());
    block.formats += layer.format.spec->name;
    formats.add(i, layer.format.spec->name.size());
    block.dimensions.insert(block.dimensions.end(), row.shape.begin(), row.shape.end());
    shapes.add(i, row.shape.size());
  }
}

// Returns where the first part of the column lies; null when no row has one.
const void* lay_out_run(std::span<const ResultRow> rows, Column column, ArrayBlock& block) {
  const auto has_part = [column](const ResultRow& row) {
    return find_part(row, column) != nullptr;
  };
  const auto first = std::ranges::find_if(rows, has_part);
  if (first == rows.end()) return nullptr;
  const bool of_bytes = kColumnSpecs[static_cast<std::size_t>(column)].is_wide();
  ColumnLayout layout(block, column, rows.size(), /*nullable=*/true);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const PartSpec* part = find_part(rows[i], column);
    if (part == nullptr) {
      layout.add_null();
    } else {
      layout.add(i, of_bytes ? part->bytes() : part->rows * part->columns());
    }
  }
  return first->stored[find_part(*first, column)->role];
}

void gather_tensor_scales(std::span<const ResultRow> rows, ArrayBlock& block) {
  RowLayout& layout = block.layouts[Column::kTensorScale];
  layout.nulls = static_cast<std::int64_t>(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const PartSpec* part = find_part(rows[i], Column::kTensorScale);
    if (part == nullptr) continue;
    block.tensor_scales.resize(rows.size());
    layout.validity.resize(rows.size() / 8 + 1);
    std::memcpy(&block.tensor_scales[i], rows[i].stored[part->role], sizeof(float));
    set_valid(layout.validity, i);
    --layout.nulls;
  }
}

// Fills the struct of a column. Of texts, bytes and lists alike: validity, offsets, data; the data
// of a list are its items'.
void fill_column(ArrayBlock& block, std::size_t rows, Column column, const void* data) {
  const ColumnSpec& spec = kColumnSpecs[static_cast<std::size_t>(column)];
  const RowLayout& layout = block.layouts[column];
  const bool has_values = !layout.narrow.empty() || !layout.wide.empty();
  const void* offsets = block.no_offsets.data();
  if (has_values) {
    offsets = spec.is_wide() ? static_cast<const void*>(layout.wide.data()) : layout.narrow.data();
  }
  const std::int64_t nulls = has_values ? layout.nulls : static_cast<std::int64_t>(rows);
  const void* const validity = has_values ? layout.validity.data() : block.no_values.data();
  auto& buffers = block.buffers[column];
  buffers = {nulls == 0 ? nullptr : validity, offsets, data};
  fill(block.columns[column], rows, buffers.data(), spec.is_list() ? 2 : 3, nulls);
  if (!spec.is_list()) return;
  auto& item_buffers = block.item_buffers[column];
  item_buffers = {nullptr, data};
  const std::int32_t items = has_values ? layout.narrow.back() : 0;
  fill(block.items[column], static_cast<std::size_t>(items), item_buffers.data(), 2);
}

}  // namespace

void export_rows(std::span<const ResultRow> rows, ArrowArray* out) {
  auto block = std::make_unique<ArrayBlock>();
  if (!rows.empty()) block->memory = rows[0].memory;
  block->no_offsets.resize(rows.size() + 1);
  block->no_values.resize(rows.size() / 8 + 1);
  lay_out_texts(rows, *block);
  for (const Column column : kRuns) {
    const void* const first = lay_out_run(rows, column, *block);
    fill_column(*block, rows.size(), column, first);
  }
  fill_column(*block, rows.size(), Column::kName, block->names.data());
  fill_column(*block, rows.size(), Column::kShape, block->dimensions.data());
  fill_column(*block, rows.size(), Column::kFormat, block->formats.data());
  fill_column(*block, rows.size(), Column::kParams, block->params.data());
  gather_tensor_scales(rows, *block);
  const RowLayout& scales = block->layouts[Column::kTensorScale];
  block->tensor_scales.resize(rows.size());
  auto& buffers = block->buffers[Column::kTensorScale];
  buffers = {scales.nulls == 0         ? nullptr
             : scales.validity.empty() ? block->no_values.data()
                                       : scales.validity.data(),
             block->tensor_scales.data()};
  fill(block->columns[Column::kTensorScale], rows.size(), buffers.data(), 2, scales.nulls);
  *out = {};
  fill(*out, rows.size(), block->no_buffers.data(), 1);
  ArrayBlock::connect(block.release(), *out);
}

}  // namespace quarrow

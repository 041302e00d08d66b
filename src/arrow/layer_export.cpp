// SPDX-License-Identifier: Apache-2.0
#include "quarrow/arrow/layer_export.h"

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <exception>
#include <limits>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "quarrow/quantize/format_fields.h"

namespace quarrow {
namespace {

constexpr std::uint64_t kMostItems = std::numeric_limits<std::int32_t>::max();

// A column, and the only child of one that is a list.
struct Column {
  const char* name;
  const char* format;
  const char* item_format;  // null: no list
  std::int64_t flags;
};

constexpr std::array<Column, 7> kColumns{{
    {"layer_name", "u", nullptr, ARROW_FLAG_NULLABLE},
    {"codes", "Z", nullptr, 0},
    {"scales", "+l", "f", ARROW_FLAG_NULLABLE},
    {"zero_points", "+l", "C", ARROW_FLAG_NULLABLE},
    {"shape", "+l", "l", 0},
    {"format", "u", nullptr, 0},
    {"params", "u", nullptr, 0},
}};

constexpr std::size_t kLists = 3;
constexpr std::size_t kFirstList = 2;  // in kColumns; the lists stand together

// A schema or an array, its columns and their items: one block, which lives until the last of them
// is released, since a consumer may move any of them out of the others. The struct of the whole
// lies with the consumer.
template <typename Struct>
struct Block {
  std::atomic<std::size_t> unreleased = 1 + kColumns.size() + kLists;
  std::array<Struct, kColumns.size()> columns{};
  std::array<Struct, kLists> items{};
  std::array<Struct*, kColumns.size()> column_pointers{};
  std::array<Struct*, kLists> item_pointers{};

  Block() {
    for (std::size_t i = 0; i < columns.size(); ++i) column_pointers[i] = &columns[i];
    for (std::size_t i = 0; i < items.size(); ++i) item_pointers[i] = &items[i];
  }

  // The structs of the whole, the columns and the items, with their children and who releases them.
  template <typename Whole>
  static void connect(Whole* block, Struct& whole) {
    const auto own = [block](Struct& one, std::size_t children, Struct** pointers) {
      one.n_children = static_cast<std::int64_t>(children);
      one.children = pointers;
      one.release = release<Whole>;
      one.private_data = block;
    };
    own(whole, kColumns.size(), block->column_pointers.data());
    for (std::size_t i = 0; i < kColumns.size(); ++i) {
      const bool is_list = kColumns[i].item_format != nullptr;
      own(block->columns[i], is_list ? 1 : 0,
          is_list ? &block->item_pointers[i - kFirstList] : nullptr);
    }
    for (Struct& item : block->items) own(item, 0, nullptr);
  }

 private:
  template <typename Whole>
  static void release(Struct* one) {
    for (std::int64_t i = 0; i < one->n_children; ++i) {
      Struct* const child = one->children[i];
      if (child->release != nullptr) child->release(child);
    }
    auto* const block = static_cast<Whole*>(one->private_data);
    one->release = nullptr;
    if (block->unreleased.fetch_sub(1, std::memory_order_acq_rel) == 1) delete block;
  }
};

struct SchemaBlock : Block<ArrowSchema> {};

// Owns whatever is not the rows' own memory.
struct ArrayBlock : Block<ArrowArray> {
  std::shared_ptr<const void> memory;
  std::array<std::vector<std::int32_t>, kColumns.size()> offsets;  // empty for codes
  std::vector<std::int64_t> code_offsets;
  std::vector<std::int64_t> dimensions;
  std::vector<std::uint8_t> zero_point_validity;
  std::vector<std::uint8_t> name_validity;
  std::string names;
  std::string formats;
  std::string params;
  std::array<const void*, 1> no_buffers{};
  std::array<std::array<const void*, 3>, kColumns.size()> buffers{};
  std::array<std::array<const void*, 2>, kLists> item_buffers{};
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

// The next offset: so many items or bytes further on.
void advance(std::vector<std::int32_t>& offsets, std::uint64_t more) {
  offsets.push_back(offsets.back() + static_cast<std::int32_t>(more));
}

void set_valid(std::vector<std::uint8_t>& bitmap, std::size_t row) {
  bitmap[row / 8] = static_cast<std::uint8_t>(bitmap[row / 8] | (1U << (row % 8)));
}

// Elements of a part.
std::uint64_t count_of(const ResultRow& row, Role role) {
  const PartSpec* part = row.layer.encoding.find(role);
  return part == nullptr ? 0 : part->rows * part->columns();
}

// Sums that must fit in the 32-bit offsets of lists and strings.
struct Items {
  std::uint64_t scales = 0;
  std::uint64_t dimensions = 0;
  std::uint64_t text = 0;  // generously

  bool add(const ResultRow& row) {
    constexpr std::uint64_t kParamsText = 300;
    scales += count_of(row, Role::kScales);
    dimensions += row.shape.size();
    text += kParamsText + (row.name ? row.name->size() : 0);
    return scales <= kMostItems && dimensions <= kMostItems && text <= kMostItems;
  }
};

}  // namespace

void export_schema(ArrowSchema* out) {
  auto block = std::make_unique<SchemaBlock>();
  for (std::size_t i = 0; i < kColumns.size(); ++i) {
    block->columns[i].name = kColumns[i].name;
    block->columns[i].format = kColumns[i].format;
    block->columns[i].flags = kColumns[i].flags;
    if (kColumns[i].item_format == nullptr) continue;
    ArrowSchema& item = block->items[i - kFirstList];
    item.name = "item";
    item.format = kColumns[i].item_format;
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

enum Columns : std::size_t { kName, kCodes, kScales, kZeroPoints, kShape, kFormat, kParams };

// Offsets, texts and bitmaps of the rows.
void describe_rows(std::span<const ResultRow> rows, ArrayBlock& block) {
  block.name_validity.resize(rows.size() / 8 + 1);
  block.zero_point_validity.resize(rows.size() / 8 + 1);
  block.code_offsets.reserve(rows.size() + 1);
  block.code_offsets.push_back(0);
  for (const std::size_t column : {kName, kScales, kZeroPoints, kShape, kFormat, kParams}) {
    block.offsets[column].reserve(rows.size() + 1);
    block.offsets[column].push_back(0);
  }
  std::string params;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const ResultRow& row = rows[i];
    const LayerPlan& layer = row.layer;
    if (row.name) {
      set_valid(block.name_validity, i);
      block.names += *row.name;
    }
    if (layer.encoding.find(Role::kZeroPoints) != nullptr) set_valid(block.zero_point_validity, i);
    const bool like_before = i != 0 && layer.format == rows[i - 1].layer.format &&
                             layer.dtype == rows[i - 1].layer.dtype;
    if (!like_before) params = params_of(layer);
    block.params += params;
    block.formats += layer.format.spec->name;
    block.dimensions.insert(block.dimensions.end(), row.shape.begin(), row.shape.end());
    block.code_offsets.push_back(block.code_offsets.back() +
                                 static_cast<std::int64_t>(layer.encoding.codes().bytes()));
    advance(block.offsets[kName], row.name ? row.name->size() : 0);
    advance(block.offsets[kScales], count_of(row, Role::kScales));
    advance(block.offsets[kZeroPoints], count_of(row, Role::kZeroPoints));
    advance(block.offsets[kShape], row.shape.size());
    advance(block.offsets[kFormat], layer.format.spec->name.size());
    advance(block.offsets[kParams], params.size());
  }
}

std::int64_t nulls_of(const std::vector<std::uint8_t>& validity, std::size_t rows) {
  std::size_t valid = 0;
  for (const std::uint8_t bits : validity) valid += static_cast<std::size_t>(std::popcount(bits));
  return static_cast<std::int64_t>(rows - valid);
}

}  // namespace

void export_rows(std::span<const ResultRow> rows, ArrowArray* out) {
  auto block = std::make_unique<ArrayBlock>();
  describe_rows(rows, *block);
  PerRole<const void*> first;  // of the rows that have the part
  for (const ResultRow& row : rows) {
    for (const PartSpec& part : row.layer.encoding.parts()) {
      if (first[part.role] == nullptr) first[part.role] = row.stored[part.role];
    }
  }
  if (!rows.empty()) block->memory = rows[0].memory;
  // Of texts, codes and lists alike: validity, offsets, data; the data of a list are its items'.
  const auto column = [&](std::size_t which, const void* data, std::int64_t nulls = 0,
                          const std::vector<std::uint8_t>* validity = nullptr) {
    auto& buffers = block->buffers[which];
    const void* const offsets = which == kCodes
                                    ? static_cast<const void*>(block->code_offsets.data())
                                    : block->offsets[which].data();
    buffers = {nulls == 0 ? nullptr : validity->data(), offsets, data};
    const bool is_list = kColumns[which].item_format != nullptr;
    fill(block->columns[which], rows.size(), buffers.data(), is_list ? 2 : 3, nulls);
    if (!is_list) return;
    auto& item_buffers = block->item_buffers[which - kFirstList];
    item_buffers = {nullptr, data};
    fill(block->items[which - kFirstList], static_cast<std::size_t>(block->offsets[which].back()),
         item_buffers.data(), 2);
  };
  column(kName, block->names.data(), nulls_of(block->name_validity, rows.size()),
         &block->name_validity);
  column(kCodes, first[Role::kCodes]);
  column(kScales, first[Role::kScales]);
  column(kZeroPoints, first[Role::kZeroPoints], nulls_of(block->zero_point_validity, rows.size()),
         &block->zero_point_validity);
  column(kShape, block->dimensions.data());
  column(kFormat, block->formats.data());
  column(kParams, block->params.data());
  *out = {};
  fill(*out, rows.size(), block->no_buffers.data(), 1);
  ArrayBlock::connect(block.release(), *out);
}

namespace {

// One consumer's way through the rows.
struct RowStream {
  std::shared_ptr<const std::vector<ResultRow>> rows;
  std::size_t next = 0;
  bool empty_told = false;
  std::string error;

  static RowStream& of(ArrowArrayStream* stream) {
    return *static_cast<RowStream*>(stream->private_data);
  }

  template <typename Job>
  static int run(ArrowArrayStream* stream, Job job) noexcept {
    try {
      job(of(stream));
      return 0;
    } catch (const std::exception& error) {
      of(stream).error = error.what();
      return ENOMEM;
    }
  }
};

int stream_schema(ArrowArrayStream* stream, ArrowSchema* out) {
  return RowStream::run(stream, [out](RowStream&) { export_schema(out); });
}

int stream_next(ArrowArrayStream* stream, ArrowArray* out) {
  return RowStream::run(stream, [out](RowStream& own) {
    *out = {};
    const auto left = std::span(*own.rows).subspan(own.next);
    // No rows are one empty batch: some consumers take a stream without any for a broken one.
    if (left.empty() && (own.empty_told || !own.rows->empty())) return;
    own.empty_told = true;
    const std::size_t count = rows_of_one_array(left);
    export_rows(left.first(count), out);
    own.next += count;
  });
}

const char* stream_error(ArrowArrayStream* stream) {
  const std::string& error = RowStream::of(stream).error;
  return error.empty() ? nullptr : error.c_str();
}

void release_stream(ArrowArrayStream* stream) {
  delete static_cast<RowStream*>(stream->private_data);
  stream->release = nullptr;
}

}  // namespace

void export_stream(std::shared_ptr<const std::vector<ResultRow>> rows, ArrowArrayStream* out) {
  auto own = std::make_unique<RowStream>();
  own->rows = std::move(rows);
  *out = {.get_schema = stream_schema,
          .get_next = stream_next,
          .get_last_error = stream_error,
          .release = release_stream,
          .private_data = own.release()};
}

}  // namespace quarrow

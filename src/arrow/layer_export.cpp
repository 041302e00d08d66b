// SPDX-License-Identifier: Apache-2.0
#include "quarrow/arrow/layer_export.h"

#include <array>
#include <cerrno>
#include <exception>
#include <limits>
#include <stdexcept>
#include <string_view>
#include <utility>

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

// What a schema or an array owns: its children, which a consumer may have moved out.
template <typename Struct>
struct Node {
  std::vector<Struct> children;
  std::vector<Struct*> pointers;

  void adopt(std::vector<Struct> made) {
    children = std::move(made);
    for (Struct& child : children) pointers.push_back(&child);
  }
  ~Node() {
    for (Struct& child : children) {
      if (child.release != nullptr) child.release(&child);
    }
  }
};

void release_schema(ArrowSchema* schema) {
  delete static_cast<Node<ArrowSchema>*>(schema->private_data);
  schema->release = nullptr;
}

ArrowSchema make_schema(const char* name, const char* format, std::int64_t flags,
                        std::vector<ArrowSchema> children) {
  auto node = std::make_unique<Node<ArrowSchema>>();
  node->adopt(std::move(children));
  ArrowSchema schema{};
  schema.format = format;
  schema.name = name;
  schema.flags = flags;
  schema.n_children = static_cast<std::int64_t>(node->pointers.size());
  schema.children = node->pointers.data();
  schema.release = release_schema;
  schema.private_data = node.release();
  return schema;
}

// What the arrays of a batch own together: whatever is not the rows' own memory.
struct BatchBuffers {
  std::shared_ptr<const void> memory;
  std::vector<std::vector<std::int32_t>> offsets;
  std::vector<std::int64_t> code_offsets;
  std::vector<std::int64_t> dimensions;
  std::vector<std::uint8_t> zero_point_validity;
  std::string names;
  std::vector<std::uint8_t> name_validity;
  std::string formats;
  std::string params;
};

struct ArrayNode : Node<ArrowArray> {
  std::shared_ptr<const BatchBuffers> batch;
  std::vector<const void*> buffers;
};

void release_array(ArrowArray* array) {
  delete static_cast<ArrayNode*>(array->private_data);
  array->release = nullptr;
}

ArrowArray make_array(const std::shared_ptr<const BatchBuffers>& batch, std::size_t length,
                      std::vector<const void*> buffers, std::vector<ArrowArray> children = {},
                      std::int64_t null_count = 0) {
  auto node = std::make_unique<ArrayNode>();
  node->adopt(std::move(children));
  node->batch = batch;
  node->buffers = std::move(buffers);
  ArrowArray array{};
  array.length = static_cast<std::int64_t>(length);
  array.null_count = null_count;
  array.n_buffers = static_cast<std::int64_t>(node->buffers.size());
  array.n_children = static_cast<std::int64_t>(node->pointers.size());
  array.buffers = node->buffers.data();
  array.children = node->pointers.data();
  array.release = release_array;
  array.private_data = node.release();
  return array;
}

std::string_view truth(bool value) { return value ? "true" : "false"; }

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
  const auto has = [&format](FormatField field) {
    return (format.spec->fields & static_cast<std::uint8_t>(field)) != 0;
  };
  Params params;
  if (has(FormatField::kGroupSize)) {
    switch (format.group_size.kind) {
      case GroupSize::Kind::kColumns:
        params.add("group_size", std::to_string(format.group_size.columns));
        break;
      case GroupSize::Kind::kRow:
        params.add_word("group_size", "row");
        break;
      case GroupSize::Kind::kTensor:
        params.add_word("group_size", "tensor");
        break;
    }
  }
  if (has(FormatField::kSymmetric)) params.add("symmetric", truth(format.symmetric));
  if (has(FormatField::kScaleDType)) params.add_word("scale_dtype", name_of(format.scale_dtype));
  if (has(FormatField::kPacked)) params.add("packed", truth(format.packed));
  if (has(FormatField::kRounding)) {
    const bool stochastic = format.rounding == Rounding::kStochastic;
    params.add_word("rounding", stochastic ? "stochastic" : "nearest");
    if (stochastic) params.add("seed", std::to_string(format.seed));
  }
  params.add_word("dtype", name_of(layer.dtype));
  return params.finish();
}

// Collects the texts of a column, or the lengths of its lists.
class Offsets {
 public:
  explicit Offsets(std::size_t rows) { values_.reserve(rows + 1); }
  void add(std::uint64_t more) {
    values_.push_back(values_.back() + static_cast<std::int32_t>(more));
  }
  std::vector<std::int32_t> take() { return std::move(values_); }

 private:
  std::vector<std::int32_t> values_{0};
};

void set_valid(std::vector<std::uint8_t>& bitmap, std::size_t row) {
  bitmap[row / 8] = static_cast<std::uint8_t>(bitmap[row / 8] | (1U << (row % 8)));
}

std::uint64_t zero_points_of(const ResultRow& row) {
  return row.layer.geometry.zero_points ? row.layer.geometry.scales() : 0;
}

// Sums that must fit in the 32-bit offsets of lists and strings.
struct Items {
  std::uint64_t scales = 0;
  std::uint64_t dimensions = 0;
  std::uint64_t text = 0;  // generously

  bool add(const ResultRow& row) {
    constexpr std::uint64_t kParamsText = 300;
    scales += row.layer.geometry.scales();
    dimensions += row.shape.size();
    text += kParamsText + (row.name ? row.name->size() : 0);
    return scales <= kMostItems && dimensions <= kMostItems && text <= kMostItems;
  }
};

}  // namespace

void export_schema(ArrowSchema* out) {
  std::vector<ArrowSchema> columns;
  for (const Column& column : kColumns) {
    std::vector<ArrowSchema> items;
    if (column.item_format != nullptr) {
      items.push_back(make_schema("item", column.item_format, ARROW_FLAG_NULLABLE, {}));
    }
    columns.push_back(make_schema(column.name, column.format, column.flags, std::move(items)));
  }
  *out = make_schema("", "+s", 0, std::move(columns));
}

std::size_t rows_of_one_array(std::span<const ResultRow> rows) {
  if (rows.empty()) return 0;
  Items items;
  const QuantizedView& first = rows[0].stored;
  const std::uint8_t* codes = first.codes;
  const float* scales = first.scales;
  const std::uint8_t* zero_points = nullptr;
  std::size_t count = 0;
  for (const ResultRow& row : rows) {
    const bool adjacent = row.memory == rows[0].memory && row.stored.codes == codes &&
                          row.stored.scales == scales &&
                          (zero_points_of(row) == 0 || zero_points == nullptr ||
                           row.stored.zero_points == zero_points);
    if (!items.add(row) || !adjacent) break;
    codes += row.layer.code_bytes();
    scales += row.layer.geometry.scales();
    if (zero_points_of(row) != 0) zero_points = row.stored.zero_points + zero_points_of(row);
    ++count;
  }
  if (count == 0) throw std::length_error("a layer has more scales than an Arrow list can hold");
  return count;
}

void export_rows(std::span<const ResultRow> rows, ArrowArray* out) {
  const std::size_t count = rows.size();
  auto made = std::make_shared<BatchBuffers>();
  BatchBuffers& batch = *made;
  Offsets names(count);
  Offsets scales(count);
  Offsets zero_points(count);
  Offsets shapes(count);
  Offsets formats(count);
  Offsets params(count);
  batch.name_validity.resize(count / 8 + 1);
  batch.zero_point_validity.resize(count / 8 + 1);
  batch.code_offsets.push_back(0);
  std::int64_t unnamed = 0;
  std::int64_t without_zero_points = 0;
  const std::uint8_t* first_zero_point = nullptr;
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    const ResultRow& row = rows[i];
    const Geometry& geometry = row.layer.geometry;
    batch.names += row.name.value_or("");
    names.add(row.name ? row.name->size() : 0);
    if (row.name) {
      set_valid(batch.name_validity, i);
    } else {
      ++unnamed;
    }
    batch.code_offsets.push_back(batch.code_offsets.back() +
                                 static_cast<std::int64_t>(row.layer.code_bytes()));
    scales.add(geometry.scales());
    zero_points.add(zero_points_of(row));
    if (geometry.zero_points) {
      set_valid(batch.zero_point_validity, i);
    } else {
      ++without_zero_points;
    }
    if (first_zero_point == nullptr) first_zero_point = row.stored.zero_points;
    batch.dimensions.insert(batch.dimensions.end(), row.shape.begin(), row.shape.end());
    shapes.add(row.shape.size());
    batch.formats += row.layer.format.spec->name;
    formats.add(row.layer.format.spec->name.size());
    if (i == 0 || row.layer.format != rows[i - 1].layer.format ||
        row.layer.dtype != rows[i - 1].layer.dtype) {
      text = params_of(row.layer);
    }
    batch.params += text;
    params.add(text.size());
  }
  if (count != 0) batch.memory = rows[0].memory;
  for (Offsets* each : {&names, &scales, &zero_points, &shapes, &formats, &params}) {
    batch.offsets.push_back(each->take());
  }
  const auto offsets = [&batch](std::size_t column) { return batch.offsets[column].data(); };
  const void* const no_nulls = nullptr;
  const void* const codes = count == 0 ? nullptr : rows[0].stored.codes;
  const void* const first_scale = count == 0 ? nullptr : rows[0].stored.scales;
  const auto list = [&](std::size_t column, std::size_t items, const void* data,
                        const void* validity, std::int64_t nulls) {
    std::vector<ArrowArray> child{make_array(made, items, {no_nulls, data})};
    return make_array(made, count, {validity, offsets(column)}, std::move(child), nulls);
  };
  const auto items_of = [&batch](std::size_t column) {
    return static_cast<std::size_t>(batch.offsets[column].back());
  };
  const void* const name_validity = unnamed == 0 ? nullptr : batch.name_validity.data();
  const void* const zero_point_validity =
      without_zero_points == 0 ? nullptr : batch.zero_point_validity.data();
  std::vector<ArrowArray> columns;
  columns.push_back(
      make_array(made, count, {name_validity, offsets(0), batch.names.data()}, {}, unnamed));
  columns.push_back(make_array(made, count, {no_nulls, batch.code_offsets.data(), codes}));
  columns.push_back(list(1, items_of(1), first_scale, no_nulls, 0));
  columns.push_back(
      list(2, items_of(2), first_zero_point, zero_point_validity, without_zero_points));
  columns.push_back(list(3, items_of(3), batch.dimensions.data(), no_nulls, 0));
  columns.push_back(make_array(made, count, {no_nulls, offsets(4), batch.formats.data()}));
  columns.push_back(make_array(made, count, {no_nulls, offsets(5), batch.params.data()}));
  *out = make_array(made, count, {no_nulls}, std::move(columns));
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

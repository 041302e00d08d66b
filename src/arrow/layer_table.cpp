// SPDX-License-Identifier: Apache-2.0
#include "quarrow/arrow/layer_table.h"

#include <array>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "arrow/arrow_type.h"
#include "arrow/validity.h"
#include "arrow/values.h"
#include "arrow/whole.h"
#include "core/checked_math.h"
#include "quarrow/core/status.h"

namespace quarrow {
namespace {

constexpr std::string_view kTextTypes =
    "string, large_string, string_view or a dictionary of these";
constexpr std::string_view kWeightTypes =
    "list, large_list, fixed_size_list or fixed-shape tensor of float16, float32 or float64";
// The formats of integers.
constexpr std::string_view kDictionaryIndices = "cCsSiIlL";
constexpr std::string_view kShapeTypes = "list, large_list or fixed_size_list of int32 or int64";

[[noreturn]] void throw_type(const std::string& column, const ArrowSchema& schema,
                             std::string_view accepted) {
  ArrowFault fault(ArrowRule::kColumnType, column);
  fault.type = arrow_type_text(schema);
  fault.detail = accepted;
  throw fault;
}

[[noreturn]] void throw_row(ArrowRule rule, const std::string& column, std::int64_t row,
                            std::int64_t first = 0, std::int64_t second = 0) {
  ArrowFault fault(rule, column);
  fault.row = row;
  fault.first = first;
  fault.second = second;
  throw fault;
}

std::int64_t find_column(const ArrowSchema& schema, const std::string& name) {
  std::int64_t found = -1;
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    const char* const other = schema.children[i]->name;
    if (other == nullptr || name != other) continue;
    if (found != -1) throw ArrowFault(ArrowRule::kRepeatedColumn, name);
    found = i;
  }
  return found;
}

std::int64_t required_column(const ArrowSchema& schema, const std::string& name) {
  const std::int64_t found = find_column(schema, name);
  if (found != -1) return found;
  ArrowFault fault(ArrowRule::kMissingColumn, name);
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    const char* const other = schema.children[i]->name;
    fault.detail += i == 0 ? "" : ", ";
    fault.detail += other == nullptr ? "" : other;
  }
  throw fault;
}

}  // namespace

LayerTable::LayerTable(const ArrowSchema& schema, LayerColumns columns)
    : columns_(std::move(columns)), column_count_(schema.n_children) {
  if (const auto fault = fault_of(schema)) throw ArrowFault(*fault);
  if (std::string_view(schema.format) != "+s") {
    ArrowFault fault(ArrowRule::kNoRecordBatch);
    fault.type = arrow_type_text(schema);
    throw fault;
  }
  find_names(schema);
  find_weights(schema);
  find_shapes(schema);
}

void LayerTable::find_names(const ArrowSchema& schema) {
  name_column_ = required_column(schema, columns_.name);
  const ArrowSchema* type = schema.children[name_column_];
  if (type->dictionary != nullptr) {
    const std::string_view index = type->format;
    if (index.size() != 1 || kDictionaryIndices.find(index) == std::string_view::npos) {
      throw_type(columns_.name, *type, kTextTypes);
    }
    dictionary_index_ = index[0];
    type = type->dictionary;
  }
  const std::string_view format = type->format;
  if (format == "u") {
    text_ = TextType::kUtf8;
  } else if (format == "U") {
    text_ = TextType::kLargeUtf8;
  } else if (format == "vu") {
    text_ = TextType::kUtf8View;
  } else if (format != "n") {
    throw_type(columns_.name, *schema.children[name_column_], kTextTypes);
  }
}

LayerTable::List LayerTable::list_type(const ArrowSchema& schema, std::int64_t column,
                                       const std::string& name) const {
  const std::string_view accepted = name == columns_.shape ? kShapeTypes : kWeightTypes;
  List list{.column = column};
  const std::string_view format = schema.format;
  if (format == "n") return list;
  if (format == "+l") {
    list.type = ListType::kList;
  } else if (format == "+L") {
    list.type = ListType::kLargeList;
  } else if (const auto size = fixed_list_size(schema)) {
    list.type = ListType::kFixedSize;
    list.size = *size;
  } else {
    throw_type(name, schema, accepted);
  }
  if (schema.n_children != 1 || schema.children[0]->dictionary != nullptr) {
    throw_type(name, schema, accepted);
  }
  list.item_bytes = primitive_bytes(schema.children[0]->format);
  return list;
}

void LayerTable::find_weights(const ArrowSchema& schema) {
  const std::int64_t column = required_column(schema, columns_.weights);
  const ArrowSchema& type = *schema.children[column];
  const auto extension = metadata_value(type, "ARROW:extension:name");
  weights_ = list_type(type, column, columns_.weights);
  if (weights_.type == ListType::kNull) return;
  const std::string_view item = type.children[0]->format;
  if (item == "e") {
    dtype_ = DType::kF16;
  } else if (item == "f") {
    dtype_ = DType::kF32;
  } else if (item == "g") {
    dtype_ = DType::kF64;
  } else {
    throw_type(columns_.weights, type, kWeightTypes);
  }
  if (extension && *extension == "arrow.fixed_shape_tensor") read_tensor_type(type);
}

// {"shape": [2, 3], "permutation": [0, 1]}
void LayerTable::read_tensor_type(const ArrowSchema& schema) {
  const std::string_view text =
      metadata_value(schema, "ARROW:extension:metadata").value_or(std::string_view());
  const auto json = nlohmann::json::parse(text.begin(), text.end(), nullptr,
                                          /*allow_exceptions=*/false);
  const ArrowFault damaged(ArrowRule::kDamagedExtension, columns_.weights);
  if (!json.is_object() || !json.contains("shape") || !json["shape"].is_array()) throw damaged;
  std::vector<std::int64_t> shape;
  std::uint64_t product = 1;
  for (const auto& dimension : json["shape"]) {
    if (!dimension.is_number_integer() || dimension.get<std::int64_t>() < 0) throw damaged;
    shape.push_back(dimension.get<std::int64_t>());
    const auto next = checked_product(product, static_cast<std::uint64_t>(shape.back()));
    if (!next) throw damaged;
    product = *next;
  }
  if (product != static_cast<std::uint64_t>(weights_.size)) throw damaged;
  if (shape.size() > kMaxDimensions) {
    ArrowFault fault(ArrowRule::kTooManyDimensions, columns_.weights);
    fault.first = static_cast<std::int64_t>(shape.size());
    throw fault;
  }
  if (json.contains("permutation") && json["permutation"].is_array()) {
    std::int64_t expected = 0;
    for (const auto& axis : json["permutation"]) {
      if (!axis.is_number_integer() || axis.get<std::int64_t>() != expected++) {
        throw ArrowFault(ArrowRule::kPermutedTensor, columns_.weights);
      }
    }
  }
  tensor_shape_ = std::move(shape);
}

void LayerTable::find_shapes(const ArrowSchema& schema) {
  const std::int64_t column = find_column(schema, columns_.shape);
  if (column == -1) return;
  const ArrowSchema& type = *schema.children[column];
  shapes_ = list_type(type, column, columns_.shape);
  if (shapes_.type == ListType::kNull) return;
  const std::string_view item = type.children[0]->format;
  // pyarrow infers list<null> for a column of empty lists.
  if (item != "i" && item != "l" && item != "n") throw_type(columns_.shape, type, kShapeTypes);
}

void LayerTable::check(const ArrowArray& batch) const {
  if (!is_whole(&batch, {.children = column_count_})) throw ArrowFault(ArrowRule::kMissingParts);
  check_names(batch);
  check_list(batch, weights_, columns_.weights);
  if (shapes_.column != -1) check_list(batch, shapes_, columns_.shape);
}

void LayerTable::check_names(const ArrowArray& batch) const {
  const ArrowArray* array = batch.children[name_column_];
  bool whole = true;
  if (dictionary_index_ != 0) {
    whole = is_whole(array, {.buffers = 2});
    array = whole ? array->dictionary : nullptr;
  }
  whole = whole && is_whole(array, {.buffers = text_ == TextType::kNull ? 0 : 3});
  if (!whole) throw ArrowFault(ArrowRule::kMissingParts, columns_.name);
}

void LayerTable::check_list(const ArrowArray& batch, const List& list,
                            const std::string& name) const {
  const ArrowArray* const array = batch.children[list.column];
  bool whole = false;
  if (list.type == ListType::kNull) {
    whole = is_whole(array, {});
  } else {
    const bool has_offsets = list.type != ListType::kFixedSize;
    const bool has_values = list.item_bytes != 0;  // not those of type null
    whole = is_whole(array, {.buffers = has_offsets ? 2 : 1, .children = 1}) &&
            is_whole(array->children[0], {.buffers = has_values ? 2 : 0});
  }
  if (!whole) throw ArrowFault(ArrowRule::kMissingParts, name);
}

const ArrowArray& LayerTable::column_of(const ArrowArray& batch, std::int64_t column,
                                        std::int64_t row, const std::string& name) const {
  const std::int64_t index = batch.offset + row;
  if (row < 0 || row >= batch.length) throw_row(ArrowRule::kBadOffsets, name, row);
  if (is_null(batch, index)) throw_row(ArrowRule::kNullRow, name, row);
  const ArrowArray& array = *batch.children[column];
  if (index >= array.length) throw_row(ArrowRule::kBadOffsets, name, row);
  return array;
}

std::string_view LayerTable::name(const ArrowArray& batch, std::int64_t row) const {
  const ArrowArray* array = &column_of(batch, name_column_, row, columns_.name);
  if (text_ == TextType::kNull) throw_row(ArrowRule::kNullName, columns_.name, row);
  std::int64_t index = array->offset + batch.offset + row;
  if (is_null(*array, index)) throw_row(ArrowRule::kNullName, columns_.name, row);
  if (dictionary_index_ != 0) {
    const auto found = dictionary_index(*array, dictionary_index_, index);
    array = array->dictionary;
    if (!found || *found < 0 || *found >= array->length) {
      throw_row(ArrowRule::kBadOffsets, columns_.name, row);
    }
    index = array->offset + *found;
    if (is_null(*array, index)) throw_row(ArrowRule::kNullName, columns_.name, row);
  }
  const auto text = text_ == TextType::kUtf8        ? text_of_offsets<std::int32_t>(*array, index)
                    : text_ == TextType::kLargeUtf8 ? text_of_offsets<std::int64_t>(*array, index)
                                                    : text_of_view(*array, index);
  if (!text) throw_row(ArrowRule::kBadOffsets, columns_.name, row);
  return *text;
}

// The items of a row's list; nothing where it is null.
std::optional<LayerTable::Span> LayerTable::span_of(const ArrowArray& batch, const List& list,
                                                    std::int64_t row,
                                                    const std::string& name) const {
  const ArrowArray& array = column_of(batch, list.column, row, name);
  const std::int64_t index = array.offset + batch.offset + row;
  if (list.type == ListType::kNull || is_null(array, index)) return std::nullopt;
  const ArrowArray& items = *array.children[0];
  std::int64_t begin = 0;
  std::int64_t end = 0;
  if (list.type == ListType::kFixedSize) {
    const bool overflows = __builtin_mul_overflow(index, list.size, &begin) ||
                           __builtin_add_overflow(begin, list.size, &end);
    if (overflows) throw_row(ArrowRule::kBadOffsets, name, row);
  } else if (list.type == ListType::kList) {
    begin = number_at<std::int32_t>(array.buffers[1], index);
    end = number_at<std::int32_t>(array.buffers[1], index + 1);
  } else {
    begin = number_at<std::int64_t>(array.buffers[1], index);
    end = number_at<std::int64_t>(array.buffers[1], index + 1);
  }
  if (begin < 0 || end < begin || end > items.length) {
    throw_row(ArrowRule::kBadOffsets, name, row);
  }
  return Span{.items = &items, .begin = items.offset + begin, .count = end - begin};
}

std::optional<std::vector<std::int64_t>> LayerTable::shape_of(const ArrowArray& batch,
                                                              std::int64_t row) const {
  if (shapes_.column == -1) return std::nullopt;
  const std::optional<Span> span = span_of(batch, shapes_, row, columns_.shape);
  if (!span) return std::nullopt;
  if (shapes_.item_bytes == 0 && span->count != 0) {
    throw_row(ArrowRule::kNullDimension, columns_.shape, row);
  }
  if (const auto null = first_null(*span->items, span->begin, span->count)) {
    throw_row(ArrowRule::kNullDimension, columns_.shape, row, *null);
  }
  if (span->count > static_cast<std::int64_t>(kMaxDimensions)) {
    throw_row(ArrowRule::kTooManyDimensions, columns_.shape, row, span->count);
  }
  std::vector<std::int64_t> shape;
  for (std::int64_t i = span->begin; i < span->begin + span->count; ++i) {
    const void* const items = span->items->buffers[1];
    const std::int64_t dimension = shapes_.item_bytes == 4 ? number_at<std::int32_t>(items, i)
                                                           : number_at<std::int64_t>(items, i);
    if (dimension < 0) {
      throw_row(ArrowRule::kNegativeDimension, columns_.shape, row, dimension);
    }
    shape.push_back(dimension);
  }
  return shape;
}

LayerTable::Layer LayerTable::layer(const ArrowArray& batch, std::int64_t row) const {
  const std::optional<Span> span = span_of(batch, weights_, row, columns_.weights);
  if (!span) throw_row(ArrowRule::kNullWeight, columns_.weights, row);
  if (const auto null = first_null(*span->items, span->begin, span->count)) {
    throw_row(ArrowRule::kNullElement, columns_.weights, row, *null);
  }
  Layer layer;
  if (auto shape = shape_of(batch, row)) {
    layer.shape = std::move(*shape);
    std::uint64_t product = 1;
    for (const std::int64_t dimension : layer.shape) {
      const auto next = checked_product(product, static_cast<std::uint64_t>(dimension));
      if (!next) throw_row(ArrowRule::kShapeOverflow, columns_.shape, row);
      product = *next;
    }
    if (product != static_cast<std::uint64_t>(span->count)) {
      throw_row(ArrowRule::kShapeProduct, columns_.shape, row, static_cast<std::int64_t>(product),
                span->count);
    }
    layer.view = view_of(*span, layer.shape, row, columns_.shape);
    return layer;
  }
  layer.shape = tensor_shape_ ? *tensor_shape_ : std::vector<std::int64_t>{span->count};
  layer.view = view_of(*span, layer.shape, row, columns_.weights);
  return layer;
}

TensorView LayerTable::view_of(const Span& span, const std::vector<std::int64_t>& shape,
                               std::int64_t row, const std::string& column) const {
  const auto* values = static_cast<const std::byte*>(span.items->buffers[1]);
  // An array without values may have no buffer.
  if (values != nullptr) values += span.begin * static_cast<std::int64_t>(weights_.item_bytes);
  try {
    return matrix_view(values, dtype_, shape);
  } catch (const StatusError&) {
    // Of sizes alone: shapes of too many dimensions were refused where they were read.
    throw_row(ArrowRule::kShapeOverflow, column, row);
  }
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "quarrow/arrow/layer_table.h"

#include <optional>
#include <utility>

#include "arrow/column.h"
#include "arrow/list_column.h"
#include "arrow/name_column.h"
#include "arrow/rows.h"
#include "arrow/tensor_type.h"
#include "arrow/validity.h"
#include "arrow/values.h"
#include "arrow/whole.h"
#include "core/checked_math.h"
#include "quarrow/core/status.h"

namespace quarrow {
namespace {

constexpr ListColumnTypes kWeightTypes{
    .items = "efg",
    .nested = true,
    .text =
        "lists of float16, float32 or float64 (list, large_list, list_view, large_list_view or "
        "fixed_size_list), lists of such lists, and fixed-shape tensors"};
// pyarrow infers list<null> for a column of empty lists.
constexpr ListColumnTypes kShapeTypes{
    .items = "iln",
    .text =
        "lists of int32 or int64 (list, large_list, list_view, large_list_view or "
        "fixed_size_list)"};

const ArrowSchema& record_batch(const ArrowSchema& schema) {
  if (const auto fault = fault_of(schema)) throw ArrowFault(*fault);
  if (std::string_view(schema.format) != "+s") {
    ArrowFault fault(ArrowRule::kNoRecordBatch);
    fault.type = arrow_type_text(schema);
    throw fault;
  }
  return schema;
}

std::optional<ListColumn> shape_column(const ArrowSchema& schema, const std::string& name) {
  auto column = Column::find(schema, name);
  if (!column) return std::nullopt;
  return ListColumn(schema, *std::move(column), kShapeTypes);
}

DType dtype_of(char item) {
  switch (item) {
    case 'e':
      return DType::kF16;
    case 'g':
      return DType::kF64;
    default:
      return DType::kF32;
  }
}

// Nothing where it does not fit in 63 bits.
std::optional<std::uint64_t> product_of(const std::vector<std::int64_t>& shape) {
  std::uint64_t product = 1;
  for (const std::int64_t dimension : shape) {
    const auto next = checked_product(product, static_cast<std::uint64_t>(dimension));
    if (!next) return std::nullopt;
    product = *next;
  }
  return product;
}

std::optional<std::vector<std::int64_t>> shape_of(const ListColumn& shapes, const ArrowArray& batch,
                                                  std::int64_t row) {
  const auto found = shapes.numbers(batch, row);
  if (!found) return std::nullopt;
  const Column& column = shapes.column();
  const std::int64_t count = found->rows.length;
  if (shapes.item() == 'n' && count != 0) column.refuse_row(ArrowRule::kNullDimension, row);
  if (const auto null = first_null(*found->array, found->rows)) {
    column.refuse_row(ArrowRule::kNullDimension, row, *null);
  }
  if (count > static_cast<std::int64_t>(kMaxDimensions)) {
    column.refuse_row(ArrowRule::kTooManyDimensions, row, count);
  }
  std::vector<std::int64_t> shape;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t index = found->array->offset + found->rows.begin + i;
    const auto dimension = integer_at(*found->array, shapes.item(), index).value_or(-1);
    if (dimension < 0) column.refuse_row(ArrowRule::kNegativeDimension, row, dimension);
    shape.push_back(dimension);
  }
  return shape;
}

}  // namespace

struct LayerTable::Parts {
  Parts(const ArrowSchema& schema, const LayerColumns& columns)
      : column_count(record_batch(schema).n_children),
        names(schema, columns.name),
        weights(schema, Column::required(schema, columns.weights), kWeightTypes),
        tensors(tensor_shape(schema, weights)),
        shapes(shape_column(schema, columns.shape)) {}

  std::int64_t column_count;
  NameColumn names;
  ListColumn weights;
  std::optional<std::vector<std::int64_t>> tensors;  // the shape of their type
  std::optional<ListColumn> shapes;
};

LayerTable::LayerTable(const ArrowSchema& schema, LayerColumns columns)
    : columns_(std::move(columns)), parts_(std::make_unique<const Parts>(schema, columns_)) {}

LayerTable::~LayerTable() = default;

void LayerTable::check(const ArrowArray& batch) const {
  if (!is_whole(&batch, {.children = parts_->column_count})) {
    throw ArrowFault(ArrowRule::kMissingParts);
  }
  parts_->names.check(batch);
  parts_->weights.check(batch);
  if (parts_->shapes) parts_->shapes->check(batch);
}

std::string_view LayerTable::name(const ArrowArray& batch, std::int64_t row) const {
  return parts_->names.text(batch, row);
}

LayerTable::Layer LayerTable::layer(const ArrowArray& batch, std::int64_t row) const {
  const Column& weights = parts_->weights.column();
  auto numbers = parts_->weights.numbers(batch, row);
  if (!numbers) weights.refuse_row(ArrowRule::kNullWeight, row);
  const Rows& rows = numbers->rows;
  // Rows may overlap, so that there may be more numbers than any memory has.
  const auto count = checked_product(static_cast<std::uint64_t>(rows.count),
                                     static_cast<std::uint64_t>(rows.length));
  if (!count) weights.refuse_row(ArrowRule::kShapeOverflow, row);
  if (const auto null = first_null(*numbers->array, rows)) {
    weights.refuse_row(ArrowRule::kNullElement, row, *null);
  }
  const Column* shape_from = &weights;
  Layer layer{.view = {}, .shape = std::move(numbers->shape)};
  if (parts_->tensors) layer.shape = *parts_->tensors;
  if (auto shape = parts_->shapes ? shape_of(*parts_->shapes, batch, row) : std::nullopt) {
    shape_from = &parts_->shapes->column();
    layer.shape = *std::move(shape);
    const auto product = product_of(layer.shape);
    if (!product) shape_from->refuse_row(ArrowRule::kShapeOverflow, row);
    if (*product != *count) {
      shape_from->refuse_row(ArrowRule::kShapeProduct, row, static_cast<std::int64_t>(*product),
                             static_cast<std::int64_t>(*count));
    }
  }
  const DType dtype = dtype_of(parts_->weights.item());
  const auto item_bytes = static_cast<std::ptrdiff_t>(size_of(dtype));
  const auto* values = static_cast<const std::byte*>(numbers->array->buffers[1]);
  // An array without values may have no buffer.
  if (values != nullptr) values += (numbers->array->offset + rows.begin) * item_bytes;
  try {
    layer.view = matrix_view(values, dtype, layer.shape);
  } catch (const StatusError&) {
    // Of sizes alone: shapes of too many dimensions were refused where they were read.
    shape_from->refuse_row(ArrowRule::kShapeOverflow, row);
  }
  if (!rows.is_contiguous()) {
    // A distance between rows that are not those of the shape cannot be kept.
    if (layer.view.rows != static_cast<std::uint64_t>(rows.count)) {
      weights.refuse_row(ArrowRule::kScatteredLists, row);
    }
    layer.view.row_stride_bytes = rows.stride * item_bytes;
    layer.view.rows_overlap = true;
  }
  return layer;
}

}  // namespace quarrow

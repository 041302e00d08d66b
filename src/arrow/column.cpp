// SPDX-License-Identifier: Apache-2.0
#include "arrow/column.h"

#include "arrow/arrow_type.h"
#include "arrow/validity.h"

namespace quarrow {

std::optional<Column> Column::find(const ArrowSchema& schema, const std::string& name) {
  std::optional<Column> found;
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    const char* const other = schema.children[i]->name;
    if (other == nullptr || name != other) continue;
    if (found) found->refuse(ArrowRule::kRepeatedColumn);
    found = Column(name, i);
  }
  return found;
}

Column Column::required(const ArrowSchema& schema, const std::string& name) {
  if (auto found = find(schema, name)) return *std::move(found);
  ArrowFault fault(ArrowRule::kMissingColumn, name);
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    const char* const other = schema.children[i]->name;
    fault.detail += i == 0 ? "" : ", ";
    fault.detail += other == nullptr ? "" : other;
  }
  throw fault;
}

std::int64_t Column::index_of(const ArrowArray& batch, std::int64_t row) const {
  const std::int64_t index = batch.offset + row;
  if (row < 0 || row >= batch.length) refuse_row(ArrowRule::kBadOffsets, row);
  if (is_null(batch, index)) refuse_row(ArrowRule::kNullRow, row);
  const ArrowArray& own = *array(batch);
  if (index >= own.length) refuse_row(ArrowRule::kBadOffsets, row);
  return own.offset + index;
}

void Column::refuse(ArrowRule rule) const { throw ArrowFault(rule, name_); }

void Column::refuse_type(const ArrowSchema& schema, std::string_view accepted) const {
  ArrowFault fault(ArrowRule::kColumnType, name_);
  fault.type = arrow_type_text(schema);
  fault.detail = accepted;
  throw fault;
}

void Column::refuse_row(ArrowRule rule, std::int64_t row, std::int64_t first, std::int64_t second,
                        std::int64_t third) const {
  ArrowFault fault(rule, name_);
  fault.row = row;
  fault.first = first;
  fault.second = second;
  fault.third = third;
  throw fault;
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "arrow/list_column.h"

#include <utility>

#include "arrow/arrow_type.h"
#include "arrow/validity.h"
#include "arrow/whole.h"

namespace quarrow {

ListColumn::ListColumn(const ArrowSchema& schema, Column column, const ListColumnTypes& accepted)
    : column_(std::move(column)) {
  const ArrowSchema& whole = column_.type(schema);
  if (std::string_view(whole.format) == "n") return;
  const ArrowSchema* type = &whole;
  while (item_ == 0) {
    const auto level = list_level(*type);
    // Tensors in a list have a shape of their own, and perhaps another order.
    const bool is_inner_tensor = type != &whole && is_fixed_shape_tensor(*type);
    const bool is_too_deep = !levels_.empty() && !accepted.nested;
    if (!level || is_inner_tensor || is_too_deep) column_.refuse_type(whole, accepted.text);
    levels_.push_back(*level);
    type = type->children[0];
    const std::string_view format = type->format;
    if (format.size() == 1 && type->dictionary == nullptr &&
        accepted.items.find(format) != std::string_view::npos) {
      item_ = format[0];
    }
  }
}

void ListColumn::check(const ArrowArray& batch) const {
  const ArrowArray* array = column_.array(batch);
  bool whole = true;
  for (const ListLevel& level : levels_) {
    whole = whole && is_whole_list(array, level);
    array = whole ? array->children[0] : nullptr;
  }
  const bool has_values = item_ != 0 && item_ != 'n';
  whole = whole && is_whole(array, {.buffers = has_values ? 2 : 0});
  if (!whole) column_.refuse(ArrowRule::kMissingParts);
}

std::optional<ListColumn::Numbers> ListColumn::numbers(const ArrowArray& batch,
                                                       std::int64_t row) const {
  const ArrowArray* lists = column_.array(batch);
  const std::int64_t index = column_.index_of(batch, row);
  if (levels_.empty() || is_null(*lists, index)) return std::nullopt;
  const auto outermost = items_of(levels_[0], *lists, index);
  if (!outermost) column_.refuse_row(ArrowRule::kBadOffsets, row);
  Numbers found{.array = lists->children[0], .rows = {}, .shape = {outermost->count}};
  if (levels_.size() == 1) {
    found.rows = {.count = 1, .begin = outermost->begin, .stride = 0, .length = outermost->count};
    return found;
  }
  found.rows = {.count = outermost->count, .begin = outermost->begin, .stride = 1, .length = 1};
  for (std::size_t level = 1; level < levels_.size(); ++level) {
    const ItemRows items = item_rows(levels_[level], *found.array, found.rows);
    if (items.fault != RowsFault::kNone) refuse_rows(items, row);
    found.array = found.array->children[0];
    found.rows = items.rows;
    found.shape.push_back(items.items);
  }
  return found;
}

void ListColumn::refuse_rows(const ItemRows& items, std::int64_t row) const {
  ArrowRule rule = ArrowRule::kBadOffsets;
  if (items.fault == RowsFault::kNullList) rule = ArrowRule::kNullList;
  if (items.fault == RowsFault::kUnequalLists) rule = ArrowRule::kUnequalLists;
  if (items.fault == RowsFault::kScattered) rule = ArrowRule::kScatteredLists;
  column_.refuse_row(rule, row, items.first, items.second, items.third);
}

}  // namespace quarrow

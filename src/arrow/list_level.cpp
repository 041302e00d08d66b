// SPDX-License-Identifier: Apache-2.0
#include "arrow/list_level.h"

#include <string_view>

#include "arrow/arrow_type.h"
#include "arrow/values.h"
#include "arrow/whole.h"

namespace quarrow {

std::optional<ListLevel> list_level(const ArrowSchema& schema) {
  if (schema.n_children != 1 || schema.dictionary != nullptr) return std::nullopt;
  const std::string_view format = schema.format;
  if (format == "+l") return ListLevel{.layout = ListLayout::kList};
  if (format == "+L") return ListLevel{.layout = ListLayout::kLargeList};
  if (format == "+vl") return ListLevel{.layout = ListLayout::kListView};
  if (format == "+vL") return ListLevel{.layout = ListLayout::kLargeListView};
  if (const auto size = fixed_list_size(schema)) {
    return ListLevel{.layout = ListLayout::kFixedSize, .size = *size};
  }
  return std::nullopt;
}

bool is_whole_list(const ArrowArray* array, const ListLevel& level) noexcept {
  switch (level.layout) {
    case ListLayout::kFixedSize:
      return is_whole(array, {.buffers = 1, .children = 1});
    case ListLayout::kList:
    case ListLayout::kLargeList:
      return is_whole(array, {.buffers = 2, .children = 1});
    case ListLayout::kListView:
    case ListLayout::kLargeListView:
      return is_whole(array, {.buffers = 3, .children = 1}) &&
             (array->length == 0 || array->buffers[2] != nullptr);
  }
  return false;
}

namespace {

// Between offset `index` and the next.
template <typename Offset>
ListItems between_offsets(const ArrowArray& lists, std::int64_t index) {
  const std::int64_t begin = number_at<Offset>(lists.buffers[1], index);
  const std::int64_t end = number_at<Offset>(lists.buffers[1], index + 1);
  return {.begin = begin, .count = begin < 0 || end < begin ? -1 : end - begin};
}

template <typename Offset>
ListItems of_view(const ArrowArray& lists, std::int64_t index) {
  return {.begin = number_at<Offset>(lists.buffers[1], index),
          .count = number_at<Offset>(lists.buffers[2], index)};
}

ListItems of_fixed_size(std::int64_t size, std::int64_t index) {
  ListItems items{.count = size};
  if (__builtin_mul_overflow(index, size, &items.begin)) items.count = -1;
  return items;
}

// As the array says, which may be wrong.
ListItems claimed_items(const ListLevel& level, const ArrowArray& lists, std::int64_t index) {
  switch (level.layout) {
    case ListLayout::kList:
      return between_offsets<std::int32_t>(lists, index);
    case ListLayout::kLargeList:
      return between_offsets<std::int64_t>(lists, index);
    case ListLayout::kListView:
      return of_view<std::int32_t>(lists, index);
    case ListLayout::kLargeListView:
      return of_view<std::int64_t>(lists, index);
    case ListLayout::kFixedSize:
      return of_fixed_size(level.size, index);
  }
  return {.count = -1};
}

// Lists of a fixed size lie side by side.
ItemRows fixed_size_rows(std::int64_t size, const ArrowArray& lists, const Rows& rows) {
  if (rows.is_empty() || size == 0) return {.rows = {.count = rows.count}, .items = size};
  std::int64_t end = 0;
  if (__builtin_mul_overflow(lists.offset + rows.end(), size, &end) ||
      end > lists.children[0]->length) {
    return {.fault = RowsFault::kBadOffsets};
  }
  return {.rows = {.count = rows.count,
                   .begin = (lists.offset + rows.begin) * size,
                   .stride = rows.stride * size,
                   .length = rows.length * size},
          .items = size};
}

}  // namespace

std::optional<ListItems> items_of(const ListLevel& level, const ArrowArray& lists,
                                  std::int64_t index) {
  const ListItems items = claimed_items(level, lists, index);
  const bool inside = items.begin >= 0 && items.count >= 0 &&
                      items.begin <= lists.children[0]->length - items.count;
  if (!inside) return std::nullopt;
  return items;
}

ItemRows item_rows(const ListLevel& level, const ArrowArray& lists, const Rows& rows) {
  if (const auto null = first_null(lists, rows)) {
    return {.fault = RowsFault::kNullList, .first = *null};
  }
  if (level.layout == ListLayout::kFixedSize) return fixed_size_rows(level.size, lists, rows);
  if (rows.is_empty()) return {.rows = {.count = rows.count}};
  const Rows distinct = rows.distinct();
  std::int64_t count = 0;   // of items in a list
  std::int64_t begin = 0;   // of the first row that is looked at
  std::int64_t stride = 0;  // between these rows
  for (std::int64_t row = 0; row < distinct.count; ++row) {
    for (std::int64_t place = 0; place < distinct.length; ++place) {
      const std::int64_t index = distinct.begin + row * distinct.stride + place;
      const auto items = items_of(level, lists, lists.offset + index);
      if (!items) return {.fault = RowsFault::kBadOffsets};
      if (row == 0 && place == 0) {
        count = items->count;
        begin = items->begin;
      }
      if (row == 1 && place == 0) stride = items->begin - begin;
      if (items->count != count) {
        return {.fault = RowsFault::kUnequalLists,
                .first = rows.index_of(index),
                .second = items->count,
                .third = count};
      }
      // Lists without items may begin anywhere.
      if (count != 0 && items->begin != begin + row * stride + place * count) {
        return {.fault = RowsFault::kScattered};
      }
    }
  }
  if (count == 0) return {.rows = {.count = rows.count}};
  Rows made{.count = rows.count, .begin = begin, .stride = stride, .length = rows.length * count};
  if (rows.count == 1) {
    made.stride = made.length;
  } else if (distinct.count == 1) {
    made.begin += (rows.begin - distinct.begin) * count;
    made.stride = rows.stride * count;
  }
  return {.rows = made, .items = count};
}

}  // namespace quarrow

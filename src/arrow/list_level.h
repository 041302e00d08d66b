// SPDX-License-Identifier: Apache-2.0
//
// Lists of Arrow, one level of them: which of the items below belong to a list.
#pragma once

#include <cstdint>
#include <optional>

#include "arrow/rows.h"
#include "quarrow/arrow/c_data.h"

namespace quarrow {

enum class ListLayout : std::uint8_t { kList, kLargeList, kListView, kLargeListView, kFixedSize };

struct ListLevel {
  ListLayout layout = ListLayout::kList;
  std::int64_t size = 0;  // of kFixedSize
};

// Nothing for a type that is no list of one child.
std::optional<ListLevel> list_level(const ArrowSchema& schema);

// The array has what lists of this level need; its items are not looked at.
bool is_whole_list(const ArrowArray* array, const ListLevel& level) noexcept;

struct ListItems {
  std::int64_t begin = 0;  // without the items' own offset
  std::int64_t count = 0;
};

// Of the list `index`, with the array's offset. Nothing where the array points outside of its
// items.
std::optional<ListItems> items_of(const ListLevel& level, const ArrowArray& lists,
                                  std::int64_t index);

// What keeps rows of lists from being rows of the lists' items.
enum class RowsFault : std::uint8_t {
  kNone,
  kNullList,      // first: which of the weight's lists
  kBadOffsets,    // a list points outside of the items
  kUnequalLists,  // first: which list; second: how many items it has; third: the first list
  kScattered,     // the items of a row do not follow each other, or rows are not equally far apart
};

struct ItemRows {
  RowsFault fault = RowsFault::kNone;
  Rows rows = {};          // of items
  std::int64_t items = 0;  // in each list; 0 where there is no list, and their size is not fixed
  std::int64_t first = 0;
  std::int64_t second = 0;
  std::int64_t third = 0;
};

// `rows` of lists as rows of the lists' items. Each list is looked at once, also where rows
// overlap, so that a few that hold each other cannot keep this busy.
ItemRows item_rows(const ListLevel& level, const ArrowArray& lists, const Rows& rows);

}  // namespace quarrow

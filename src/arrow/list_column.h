// SPDX-License-Identifier: Apache-2.0
//
// A column of lists of numbers, or of such lists in lists: where the numbers of a row lie.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "arrow/column.h"
#include "arrow/list_level.h"
#include "arrow/rows.h"
#include "quarrow/arrow/c_data.h"

namespace quarrow {

struct ListColumnTypes {
  std::string_view items;  // the letters of the formats of numbers
  bool nested = false;     // whether lists may hold lists
  std::string_view text;   // the same in words
};

class ListColumn {
 public:
  // Throws ArrowFault where the column has another type. One of type null has nothing but nulls.
  ListColumn(const ArrowSchema& schema, Column column, const ListColumnTypes& accepted);

  // Throws ArrowFault where the batch's column lacks parts.
  void check(const ArrowArray& batch) const;

  // The letter of the numbers' format; 0 for a column of type null.
  char item() const noexcept { return item_; }
  // Outermost first; none for a column of type null.
  const std::vector<ListLevel>& levels() const noexcept { return levels_; }
  const Column& column() const noexcept { return column_; }

  struct Numbers {
    const ArrowArray* array = nullptr;
    Rows rows;                        // of the array's values; one of a list that holds no lists
    std::vector<std::int64_t> shape;  // how long the lists are, outermost first
  };

  // Of a row; nothing where it is null. Throws ArrowFault where lists are null, not equally long,
  // or do not lie as a matrix does. Whether numbers are null is not looked at.
  std::optional<Numbers> numbers(const ArrowArray& batch, std::int64_t row) const;

 private:
  [[noreturn]] void refuse_rows(const ItemRows& items, std::int64_t row) const;

  Column column_;
  std::vector<ListLevel> levels_;
  char item_ = 0;
};

}  // namespace quarrow

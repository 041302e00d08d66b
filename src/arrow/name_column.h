// SPDX-License-Identifier: Apache-2.0
//
// The column of the names: texts in any of Arrow's layouts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "arrow/column.h"
#include "quarrow/arrow/c_data.h"

namespace quarrow {

class NameColumn {
 public:
  // Throws ArrowFault where the schema has no such column, or one of another type.
  NameColumn(const ArrowSchema& schema, const std::string& name);

  // Throws ArrowFault where the batch's column lacks parts, or its runs are not those of an array.
  // Only the runs of the batch's own rows are looked at: a batch may be a slice of many.
  void check(const ArrowArray& batch) const;

  // In the batch's memory. Throws ArrowFault.
  std::string_view text(const ArrowArray& batch, std::int64_t row) const;

 private:
  enum class TextType : std::uint8_t { kUtf8, kLargeUtf8, kUtf8View, kNull };

  void check_runs(const ArrowArray& batch, const ArrowArray& encoded) const;

  Column column_;
  TextType text_ = TextType::kNull;
  char run_ends_ = 0;          // the format of the ends of runs; 0: no runs
  char dictionary_index_ = 0;  // the format of the indices; 0: no dictionary
};

}  // namespace quarrow

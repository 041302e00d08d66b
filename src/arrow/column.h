// SPDX-License-Identifier: Apache-2.0
//
// One column of a record batch: where it stands, and the errors of its type and its rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "quarrow/arrow/arrow_fault.h"
#include "quarrow/arrow/c_data.h"

namespace quarrow {

class Column {
 public:
  // Nothing where the schema has no such column. Throws ArrowFault where it has two.
  static std::optional<Column> find(const ArrowSchema& schema, const std::string& name);
  // Throws ArrowFault where the schema has none or two.
  static Column required(const ArrowSchema& schema, const std::string& name);

  const std::string& name() const noexcept { return name_; }
  const ArrowSchema& type(const ArrowSchema& schema) const { return *schema.children[position_]; }
  const ArrowArray* array(const ArrowArray& batch) const { return batch.children[position_]; }

  // Which value of the column's array is that of a row, with the array's offset. Throws ArrowFault
  // where the row is null, or the column or the batch lacks it.
  std::int64_t index_of(const ArrowArray& batch, std::int64_t row) const;

  // Each throws ArrowFault, with the column's name.
  [[noreturn]] void refuse(ArrowRule rule) const;
  [[noreturn]] void refuse_type(const ArrowSchema& schema, std::string_view accepted) const;
  [[noreturn]] void refuse_row(ArrowRule rule, std::int64_t row, std::int64_t first = 0,
                               std::int64_t second = 0, std::int64_t third = 0) const;

 private:
  Column(std::string name, std::int64_t position) : name_(std::move(name)), position_(position) {}

  std::string name_;
  std::int64_t position_;
};

}  // namespace quarrow

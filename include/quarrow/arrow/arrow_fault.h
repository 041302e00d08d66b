// SPDX-License-Identifier: Apache-2.0
//
// Why Arrow data cannot be quantized. The words are made by the caller (bindings/arrow_errors.cpp).
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>

namespace quarrow {

enum class ArrowRule : std::uint8_t {
  kMissingParts,   // a schema or an array lacks what its type has, or has a negative size
  kTooDeep,        // a schema nested beyond kMaxSchemaDepth, or of more than kMaxSchemaFields
  kNoRecordBatch,  // a column alone, not a struct of columns; type: what it is
  kMissingColumn,  // detail: the columns that there are
  kRepeatedColumn,
  kColumnType,        // type: what it is; detail: what is accepted
  kPermutedTensor,    // a fixed-shape tensor whose dimensions are permuted
  kDamagedExtension,  // the metadata of a fixed-shape tensor are not what they must be
  kNullRow,
  kNullName,
  kNullWeight,
  kNullElement,        // first: its index within the weight
  kNullList,           // a list within the weight is null; first: which of those of its level
  kUnequalLists,       // first: a list of the weight; second: its length; third: that of the others
  kScatteredLists,     // lists within the weight do not lie as the rows of a matrix
  kNullDimension,      // first: which of the shape
  kNegativeDimension,  // first: its value
  kShapeOverflow,
  kTooManyDimensions,  // first: how many
  kShapeProduct,       // first: the product of the shape; second: the length of the weight
  kBadRunEnds,         // ends of runs that do not increase, or too few: a damaged file
  kBadOffsets,         // offsets that decrease or point beyond their data: a damaged file
};

// Speaks of a whole column where there is no row.
class ArrowFault : public std::exception {
 public:
  explicit ArrowFault(ArrowRule which, std::string of_column = {})
      : rule(which), column(std::move(of_column)) {}
  const char* what() const noexcept override { return "quarrow::ArrowFault"; }

  ArrowRule rule;
  std::string column;
  std::optional<std::int64_t> row;  // of its batch
  std::string type;                 // as Arrow spells it: "list<float32>"
  std::string detail;
  std::int64_t first = 0;
  std::int64_t second = 0;
  std::int64_t third = 0;
};

}  // namespace quarrow

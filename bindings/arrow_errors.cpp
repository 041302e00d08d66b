// SPDX-License-Identifier: Apache-2.0
#include "arrow_errors.h"

#include <string>

#include "errors.h"
#include "quarrow/arrow/layer_table.h"
#include "quarrow/core/tensor_view.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

// Names of columns may hold anything: shown as Python writes a str.
std::string quoted(const std::string& text) { return short_repr(text_of_bytes(text)); }

std::string text_of(const ArrowFault& fault) {
  const std::string first = std::to_string(fault.first);
  switch (fault.rule) {
    case ArrowRule::kMissingParts:
      return "the Arrow data lack parts that their type has, or have a negative size; the producer "
             "made or moved them wrongly";
    case ArrowRule::kTooDeep:
      return "the schema is nested deeper than " + std::to_string(kMaxSchemaDepth) +
             " levels, contains itself, or has more than " + std::to_string(kMaxSchemaFields) +
             " fields; flatten it, or drop the columns that are not needed";
    case ArrowRule::kNoRecordBatch:
      return "got Arrow data of type " + fault.type +
             "; pass a table or a record batch: a struct of columns";
    case ArrowRule::kMissingColumn:
      return "there is no such column; the columns are: " + fault.detail;
    case ArrowRule::kRepeatedColumn:
      return "there are two columns of this name; rename one";
    case ArrowRule::kColumnType:
      return "got the type " + fault.type + "; accepted are " + fault.detail + "; cast the column";
    case ArrowRule::kPermutedTensor:
      return "the dimensions of the tensor type are permuted, so its values do not lie in their "
             "order; store them unpermuted";
    case ArrowRule::kDamagedExtension:
      return "the metadata of the tensor type do not fit it; write the column again";
    case ArrowRule::kNullRow:
      return "the row is null; drop null rows first";
    case ArrowRule::kNullName:
      return "the name is null; give every layer a name";
    case ArrowRule::kNullWeight:
      return "the weight is null; drop the row, or give it values";
    case ArrowRule::kNullElement:
      return "the weight holds a null at index " + first + "; fill nulls with numbers first";
    case ArrowRule::kNullList:
      return "list " + first + " within the weight is null; fill it with numbers, or drop the row";
    case ArrowRule::kUnequalLists:
      return "the lists within the weight have different lengths, so they are no matrix: the first "
             "has " +
             std::to_string(fault.third) + ", list " + first + " has " +
             std::to_string(fault.second) + "; make them equal, or give a flat list and a shape";
    case ArrowRule::kScatteredLists:
      return "the lists within the weight do not lie as the rows of a matrix, one after the other, "
             "so they cannot be read in place; store them so, as lists that are no views";
    case ArrowRule::kNullDimension:
      return "dimension " + first + " of the shape is null";
    case ArrowRule::kNegativeDimension:
      return "the shape has the negative dimension " + first;
    case ArrowRule::kShapeOverflow:
      return "the product of the shape does not fit in 63 bits";
    case ArrowRule::kTooManyDimensions:
      return "the shape has " + first + " dimensions, and at most " +
             std::to_string(kMaxDimensions) + " can be read; reshape the weight to fewer";
    case ArrowRule::kShapeProduct:
      return "the product of the shape is " + first + ", but the weight has " +
             std::to_string(fault.second) + " values";
    case ArrowRule::kBadRunEnds:
      return "its runs are damaged: their ends must increase and reach the end of the column, with "
             "a value each";
    case ArrowRule::kBadOffsets:
      break;
  }
  return "an offset points outside of its data: the file was damaged or written wrongly";
}

}  // namespace

void raise_arrow_fault(const ArrowFault& fault, nb::handle name, std::int64_t first_row) {
  std::string place;
  if (!fault.column.empty()) {
    place = "column " + quoted(fault.column);
  }
  if (fault.row) {
    place += ", row " + std::to_string(first_row + *fault.row);
  }
  raise_invalid_input((place.empty() ? "" : place + ": ") + text_of(fault), name);
}

}  // namespace quarrow::python

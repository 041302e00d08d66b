// SPDX-License-Identifier: Apache-2.0
//
// A record batch as layers: a row each, with a name, weights, and perhaps a shape.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "quarrow/arrow/arrow_fault.h"
#include "quarrow/arrow/c_data.h"
#include "quarrow/core/tensor_view.h"

namespace quarrow {

// Of a schema that is read. The depth is that of Arrow's own reader.
inline constexpr int kMaxSchemaDepth = 64;
inline constexpr std::int64_t kMaxSchemaFields = std::int64_t{1} << 20;

struct LayerColumns {
  std::string name = "layer_name";
  std::string weights = "weights";
  std::string shape = "shape";  // may be absent
};

// What the columns of a schema are. Names: string, large_string, string_view, a dictionary of
// these, or one of these run-end encoded. Weights: a list of float16, float32 or float64, in any of
// Arrow's five layouts, a list of such lists, and so on; or a fixed-shape tensor. Shapes: a list of
// int32 or int64. Untyped columns count as null. Other columns are not looked at. Borrows nothing.
class LayerTable {
 public:
  // Throws ArrowFault.
  LayerTable(const ArrowSchema& schema, LayerColumns columns);
  ~LayerTable();

  const LayerColumns& columns() const noexcept { return columns_; }

  struct Layer {
    TensorView view;  // of the batch's own memory
    // In its column; else of the tensor type, or of the lists within the weight.
    std::vector<std::int64_t> shape;
  };

  // Throws ArrowFault where the batch lacks parts of this schema. To be called before its rows are
  // read.
  void check(const ArrowArray& batch) const;

  // Of a row of a batch of this schema, counted from the batch's own start. Every offset is checked
  // before it is followed, except those of names into bytes whose number the interface does not
  // tell. Throw ArrowFault.
  std::string_view name(const ArrowArray& batch, std::int64_t row) const;  // in the batch's memory
  Layer layer(const ArrowArray& batch, std::int64_t row) const;

 private:
  struct Parts;

  LayerColumns columns_;
  std::unique_ptr<const Parts> parts_;
};

// How Arrow's libraries spell a type: "list<float32>", "dictionary<string>", "time32[s]". A type
// that the specification does not have is "unknown".
std::string arrow_type_text(const ArrowSchema& schema);

}  // namespace quarrow

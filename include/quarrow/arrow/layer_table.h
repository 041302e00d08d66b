// SPDX-License-Identifier: Apache-2.0
//
// A record batch as layers: a row each, with a name, weights, and perhaps a shape.
#pragma once

#include <cstdint>
#include <optional>
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

// What the columns of a schema are. Names: utf8, large_utf8, utf8_view, or a dictionary of these.
// Weights: list, large_list, fixed_size_list or fixed-shape tensor of float16, float32 or float64.
// Shapes: list, large_list or fixed_size_list of int32 or int64. Untyped columns count as null.
// Other columns are not looked at. Borrows nothing.
class LayerTable {
 public:
  // Throws ArrowFault.
  LayerTable(const ArrowSchema& schema, LayerColumns columns);

  const LayerColumns& columns() const noexcept { return columns_; }

  struct Layer {
    TensorView view;                  // of the batch's own memory
    std::vector<std::int64_t> shape;  // of the weight's own dimensions; one without a shape
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
  enum class TextType : std::uint8_t { kUtf8, kLargeUtf8, kUtf8View, kNull };
  enum class ListType : std::uint8_t { kList, kLargeList, kFixedSize, kNull };
  struct List {
    std::int64_t column = -1;  // -1: absent
    ListType type = ListType::kNull;
    std::int64_t size = 0;  // kFixedSize
    std::size_t item_bytes = 0;
  };
  struct Span {
    const ArrowArray* items = nullptr;
    std::int64_t begin = 0;  // with the items' own offset
    std::int64_t count = 0;
  };

  void find_names(const ArrowSchema& schema);
  void find_weights(const ArrowSchema& schema);
  void find_shapes(const ArrowSchema& schema);
  void read_tensor_type(const ArrowSchema& schema);
  List list_type(const ArrowSchema& schema, std::int64_t column, const std::string& name) const;

  void check_names(const ArrowArray& batch) const;
  void check_list(const ArrowArray& batch, const List& list, const std::string& name) const;
  const ArrowArray& column_of(const ArrowArray& batch, std::int64_t column, std::int64_t row,
                              const std::string& name) const;
  TensorView view_of(const Span& span, const std::vector<std::int64_t>& shape, std::int64_t row,
                     const std::string& column) const;
  std::optional<Span> span_of(const ArrowArray& batch, const List& list, std::int64_t row,
                              const std::string& name) const;
  std::optional<std::vector<std::int64_t>> shape_of(const ArrowArray& batch,
                                                    std::int64_t row) const;

  LayerColumns columns_;
  std::int64_t column_count_ = 0;
  std::int64_t name_column_ = -1;
  TextType text_ = TextType::kNull;
  char dictionary_index_ = 0;  // the format of the indices; 0: no dictionary
  List weights_;
  DType dtype_ = DType::kF32;
  std::optional<std::vector<std::int64_t>> tensor_shape_;  // of the extension type
  List shapes_;
};

// How Arrow spells a type: "list<float32>", "dictionary<string>".
std::string arrow_type_text(const ArrowSchema& schema);

}  // namespace quarrow

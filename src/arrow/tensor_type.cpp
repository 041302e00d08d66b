// SPDX-License-Identifier: Apache-2.0
#include "arrow/tensor_type.h"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "arrow/arrow_type.h"
#include "core/checked_math.h"
#include "quarrow/core/tensor_view.h"

namespace quarrow {

// {"shape": [2, 3], "permutation": [0, 1]}
std::optional<std::vector<std::int64_t>> tensor_shape(const ArrowSchema& schema,
                                                      const ListColumn& lists) {
  const Column& column = lists.column();
  const ArrowSchema& type = column.type(schema);
  if (!is_fixed_shape_tensor(type) || lists.levels().empty()) return std::nullopt;
  const std::string_view text =
      metadata_value(type, "ARROW:extension:metadata").value_or(std::string_view());
  const auto json = nlohmann::json::parse(text.begin(), text.end(), nullptr,
                                          /*allow_exceptions=*/false);
  const ArrowFault damaged(ArrowRule::kDamagedExtension, column.name());
  if (!json.is_object() || !json.contains("shape") || !json["shape"].is_array()) throw damaged;
  std::vector<std::int64_t> shape;
  std::uint64_t product = 1;
  for (const auto& dimension : json["shape"]) {
    if (!dimension.is_number_integer() || dimension.get<std::int64_t>() < 0) throw damaged;
    shape.push_back(dimension.get<std::int64_t>());
    const auto next = checked_product(product, static_cast<std::uint64_t>(shape.back()));
    if (!next) throw damaged;
    product = *next;
  }
  const ListLevel& level = lists.levels()[0];
  const bool is_flat = lists.levels().size() == 1 && level.layout == ListLayout::kFixedSize;
  if (!is_flat || product != static_cast<std::uint64_t>(level.size)) throw damaged;
  if (shape.size() > kMaxDimensions) {
    ArrowFault fault(ArrowRule::kTooManyDimensions, column.name());
    fault.first = static_cast<std::int64_t>(shape.size());
    throw fault;
  }
  if (json.contains("permutation") && json["permutation"].is_array()) {
    std::int64_t expected = 0;
    for (const auto& axis : json["permutation"]) {
      if (!axis.is_number_integer() || axis.get<std::int64_t>() != expected++) {
        column.refuse(ArrowRule::kPermutedTensor);
      }
    }
  }
  return shape;
}

}  // namespace quarrow

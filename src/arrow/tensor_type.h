// SPDX-License-Identifier: Apache-2.0
//
// The extension type of tensors of one shape, arrow.fixed_shape_tensor.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "arrow/list_column.h"
#include "quarrow/arrow/c_data.h"

namespace quarrow {

// The shape that the type of a column has; nothing for types that are no such tensors. Throws
// ArrowFault where its dimensions are permuted, are too many or do not fit the lists that hold it.
std::optional<std::vector<std::int64_t>> tensor_shape(const ArrowSchema& schema,
                                                      const ListColumn& lists);

}  // namespace quarrow

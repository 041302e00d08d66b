// SPDX-License-Identifier: Apache-2.0
//
// What a schema says beside its format string.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "quarrow/arrow/c_data.h"
#include "quarrow/arrow/layer_table.h"  // arrow_type_text

namespace quarrow {

// The value of a key of the schema's metadata, in their memory.
std::optional<std::string_view> metadata_value(const ArrowSchema& schema, std::string_view key);

// Whether it is the extension type arrow.fixed_shape_tensor.
bool is_fixed_shape_tensor(const ArrowSchema& schema);

// The N of "+w:N"; nothing for another format or a number that is none.
std::optional<std::int64_t> fixed_list_size(const ArrowSchema& schema);

}  // namespace quarrow

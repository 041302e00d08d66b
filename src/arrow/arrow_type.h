// SPDX-License-Identifier: Apache-2.0
//
// What a schema says beside its format string.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "quarrow/arrow/c_data.h"

namespace quarrow {

// The value of a key of the schema's metadata, in their memory.
std::optional<std::string_view> metadata_value(const ArrowSchema& schema, std::string_view key);

// The N of "+w:N"; nothing for another format or a number that is none.
std::optional<std::int64_t> fixed_list_size(const ArrowSchema& schema);

// Bytes of one value of a primitive type; 0 for others.
std::size_t primitive_bytes(std::string_view format) noexcept;

}  // namespace quarrow

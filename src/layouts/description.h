// SPDX-License-Identifier: Apache-2.0
//
// The JSON that describes stored layers, and what is said of layers that do not fit together.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "layouts/json_value.h"
#include "quarrow/containers/checkpoint.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {

// The value of the text; nothing when it is not JSON, nested beyond 16, or of more than
// `max_values` values: memory must not grow with what a file claims.
std::optional<JsonValue> parse_description(std::string_view text, std::size_t max_values);

// A member of an object when it has one, and it is a string; else null.
const std::string* text_member(const JsonValue& object, std::string_view name);

// A layer whose entries do not fit together. `tensor` is one of them, or null.
[[noreturn]] void throw_layer_fault(FileRule rule, const Checkpoint& file,
                                    const TensorEntry* tensor, std::string detail);

// Throws kLayerDType or kLayerShape where an entry has another dtype or shape than these.
void check_entry(const Checkpoint& file, const TensorEntry& entry, ElementType dtype,
                 std::initializer_list<std::uint64_t> shape);

}  // namespace quarrow

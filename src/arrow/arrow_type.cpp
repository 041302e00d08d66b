// SPDX-License-Identifier: Apache-2.0
#include "arrow/arrow_type.h"

#include <charconv>
#include <cstring>

namespace quarrow {

std::optional<std::string_view> metadata_value(const ArrowSchema& schema, std::string_view key) {
  if (schema.metadata == nullptr) return std::nullopt;
  const char* at = schema.metadata;
  const auto number = [&at] {
    std::int32_t value = 0;
    std::memcpy(&value, at, sizeof value);
    at += sizeof value;
    return value;
  };
  const auto text = [&at, &number] {
    const std::int32_t bytes = number();
    const std::string_view value(at, bytes < 0 ? 0 : static_cast<std::size_t>(bytes));
    at += value.size();
    return value;
  };
  for (std::int32_t left = number(); left > 0; --left) {
    const std::string_view name = text();
    const std::string_view value = text();
    if (name == key) return value;
  }
  return std::nullopt;
}

bool is_fixed_shape_tensor(const ArrowSchema& schema) {
  const auto name = metadata_value(schema, "ARROW:extension:name");
  return name && *name == "arrow.fixed_shape_tensor";
}

std::optional<std::int64_t> fixed_list_size(const ArrowSchema& schema) {
  std::string_view format = schema.format;
  if (!format.starts_with("+w:")) return std::nullopt;
  format.remove_prefix(3);
  std::int64_t size = 0;
  const auto [end, error] = std::from_chars(format.data(), format.data() + format.size(), size);
  if (error != std::errc() || end != format.data() + format.size() || size < 0) return std::nullopt;
  return size;
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "arrow/arrow_type.h"

#include <array>
#include <charconv>
#include <cstring>

#include "quarrow/arrow/layer_table.h"

namespace quarrow {
namespace {

struct Primitive {
  std::string_view format;
  std::string_view name;
  std::size_t bytes;
};

// The types that columns of layers may be mistaken for, too.
constexpr std::array<Primitive, 21> kPrimitives{{
    {"n", "null", 0},         {"b", "bool", 0},         {"c", "int8", 1},
    {"C", "uint8", 1},        {"s", "int16", 2},        {"S", "uint16", 2},
    {"i", "int32", 4},        {"I", "uint32", 4},       {"l", "int64", 8},
    {"L", "uint64", 8},       {"e", "float16", 2},      {"f", "float32", 4},
    {"g", "float64", 8},      {"u", "string", 0},       {"U", "large_string", 0},
    {"z", "binary", 0},       {"Z", "large_binary", 0}, {"vu", "string_view", 0},
    {"vz", "binary_view", 0}, {"tdD", "date32", 0},     {"tdm", "date64", 0},
}};

const Primitive* find_primitive(std::string_view format) noexcept {
  for (const Primitive& each : kPrimitives) {
    if (each.format == format) return &each;
  }
  return nullptr;
}

std::string_view nested_name(std::string_view format) {
  if (format == "+l") return "list";
  if (format == "+L") return "large_list";
  if (format == "+vl") return "list_view";
  if (format == "+vL") return "large_list_view";
  if (format.starts_with("+w:")) return "fixed_size_list";
  if (format == "+s") return "struct";
  if (format == "+m") return "map";
  return {};
}

}  // namespace

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

std::optional<std::int64_t> fixed_list_size(const ArrowSchema& schema) {
  std::string_view format = schema.format;
  if (!format.starts_with("+w:")) return std::nullopt;
  format.remove_prefix(3);
  std::int64_t size = 0;
  const auto [end, error] = std::from_chars(format.data(), format.data() + format.size(), size);
  if (error != std::errc() || end != format.data() + format.size() || size < 0) return std::nullopt;
  return size;
}

std::size_t primitive_bytes(std::string_view format) noexcept {
  const Primitive* found = find_primitive(format);
  return found == nullptr ? 0 : found->bytes;
}

std::string arrow_type_text(const ArrowSchema& schema) {
  const std::string_view format = schema.format;
  if (schema.dictionary != nullptr) {
    return "dictionary<" + arrow_type_text(*schema.dictionary) + ">";
  }
  if (const auto extension = metadata_value(schema, "ARROW:extension:name")) {
    return "extension<" + std::string(*extension) + ">";
  }
  if (const Primitive* found = find_primitive(format)) return std::string(found->name);
  const std::string_view nested = nested_name(format);
  if (nested.empty()) return "'" + std::string(format) + "'";
  std::string text(nested);
  text += '<';
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    if (i != 0) text += ", ";
    text += arrow_type_text(*schema.children[i]);
  }
  if (format.starts_with("+w:")) text.append(", ").append(format.substr(3));
  return text + ">";
}

}  // namespace quarrow

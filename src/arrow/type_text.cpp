// SPDX-License-Identifier: Apache-2.0
//
// The formats of https://arrow.apache.org/docs/format/CDataInterface.html in the words of Arrow's
// libraries.
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/arrow_type.h"

namespace quarrow {
namespace {

struct Spelling {
  std::string_view format;
  std::string_view name;
};

constexpr std::array<Spelling, 32> kPlain{{
    {"n", "null"},
    {"b", "bool"},
    {"c", "int8"},
    {"C", "uint8"},
    {"s", "int16"},
    {"S", "uint16"},
    {"i", "int32"},
    {"I", "uint32"},
    {"l", "int64"},
    {"L", "uint64"},
    {"e", "float16"},
    {"f", "float32"},
    {"g", "float64"},
    {"z", "binary"},
    {"Z", "large_binary"},
    {"vz", "binary_view"},
    {"u", "string"},
    {"U", "large_string"},
    {"vu", "string_view"},
    {"tdD", "date32"},
    {"tdm", "date64"},
    {"tts", "time32[s]"},
    {"ttm", "time32[ms]"},
    {"ttu", "time64[us]"},
    {"ttn", "time64[ns]"},
    {"tDs", "duration[s]"},
    {"tDm", "duration[ms]"},
    {"tDu", "duration[us]"},
    {"tDn", "duration[ns]"},
    {"tiM", "month_interval"},
    {"tiD", "day_time_interval"},
    {"tin", "month_day_nano_interval"},
}};

// Those whose children follow in brackets.
constexpr std::array<Spelling, 7> kNested{{
    {"+l", "list"},
    {"+L", "large_list"},
    {"+vl", "list_view"},
    {"+vL", "large_list_view"},
    {"+s", "struct"},
    {"+m", "map"},
    {"+r", "run_end_encoded"},
}};

// Their format goes on behind a colon, with a time zone.
constexpr std::array<Spelling, 4> kTimestamps{{
    {"tss", "s"},
    {"tsm", "ms"},
    {"tsu", "us"},
    {"tsn", "ns"},
}};

template <std::size_t count>
std::optional<std::string_view> name_in(const std::array<Spelling, count>& spellings,
                                        std::string_view format) {
  for (const Spelling& each : spellings) {
    if (each.format == format) return each.name;
  }
  return std::nullopt;
}

// The whole numbers of "19,10"; nothing where one is none.
std::optional<std::vector<std::int64_t>> numbers_of(std::string_view text) {
  std::vector<std::int64_t> numbers;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    std::int64_t& number = numbers.emplace_back();
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc() || end != part.data() + part.size()) return std::nullopt;
    if (comma == std::string_view::npos) return numbers;
    text.remove_prefix(comma + 1);
  }
}

// "19,10" or "19,10,256": precision, scale, bits.
std::string decimal_text(std::string_view parameters) {
  const auto numbers = numbers_of(parameters);
  if (!numbers || numbers->size() < 2 || numbers->size() > 3) return "decimal";
  const std::int64_t bits = numbers->size() == 3 ? (*numbers)[2] : 128;
  return "decimal" + std::to_string(bits) + "(" + std::to_string((*numbers)[0]) + ", " +
         std::to_string((*numbers)[1]) + ")";
}

std::string with_parameters(std::string_view kind, std::string_view parameters) {
  if (kind == "d") return decimal_text(parameters);
  if (kind == "w") {
    const auto bytes = numbers_of(parameters);
    if (!bytes || bytes->size() != 1) return "fixed_size_binary";
    return "fixed_size_binary[" + std::to_string((*bytes)[0]) + "]";
  }
  const auto unit = name_in(kTimestamps, kind);
  if (!unit) return "unknown";
  std::string text = "timestamp[" + std::string(*unit);
  if (!parameters.empty()) text.append(", tz=").append(parameters);
  return text + "]";
}

std::string with_children(std::string_view name, const ArrowSchema& schema) {
  std::string text(name);
  text += '<';
  for (std::int64_t i = 0; i < schema.n_children; ++i) {
    if (i != 0) text += ", ";
    text += arrow_type_text(*schema.children[i]);
  }
  if (const auto size = fixed_list_size(schema)) text += ", " + std::to_string(*size);
  return text + ">";
}

// Of the type below a dictionary or an extension.
std::string storage_text(const ArrowSchema& schema) {
  const std::string_view format = schema.format;
  const std::size_t colon = format.find(':');
  const std::string_view kind = format.substr(0, colon);
  if (const auto name = name_in(kNested, format)) return with_children(*name, schema);
  if (const auto name = name_in(kPlain, format)) return std::string(*name);
  if (colon == std::string_view::npos) return "unknown";
  if (kind == "+w") return with_children("fixed_size_list", schema);
  if (kind == "+ud") return with_children("dense_union", schema);
  if (kind == "+us") return with_children("sparse_union", schema);
  return with_parameters(kind, format.substr(colon + 1));
}

}  // namespace

std::string arrow_type_text(const ArrowSchema& schema) {
  std::string text = schema.dictionary == nullptr
                         ? storage_text(schema)
                         : "dictionary<" + arrow_type_text(*schema.dictionary) + ">";
  const auto extension = metadata_value(schema, "ARROW:extension:name");
  if (!extension) return text;
  return "extension<" + std::string(*extension) + ", " + text + ">";
}

}  // namespace quarrow

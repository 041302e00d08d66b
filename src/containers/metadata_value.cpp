// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/metadata_value.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "core/json_text.h"
#include "core/utf8.h"

namespace quarrow {
namespace {

constexpr std::array<std::uint8_t, kValueTypes> kBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

constexpr std::size_t kItemTypeBytes = sizeof(std::uint32_t);
constexpr std::size_t kCountBytes = sizeof(std::uint64_t);

template <typename Number>
Number number_of(std::string_view bytes) noexcept {
  Number number{};
  if (bytes.size() >= sizeof(number)) std::memcpy(&number, bytes.data(), sizeof(number));
  return number;
}

template <typename Integer>
std::uint64_t integer_of(std::string_view bytes) noexcept {
  return static_cast<std::uint64_t>(number_of<Integer>(bytes));
}

template <typename Number>
std::string digits_of(Number number) {
  std::array<char, 32> digits;
  return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr};
}

std::string float_words(const MetadataValue& value) {
  const double number = value.as_float();
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  // The fewest digits that give the number back in its own precision.
  if (value.type() == ValueType::kF32) return digits_of(static_cast<float>(number));
  return digits_of(number);
}

std::string list_words(const MetadataValue& list) {
  std::string words = "[";
  list.for_each_item([&](const MetadataValue& item) {
    if (words.size() > 1) words += ", ";
    const std::string each = words_of(item);
    words += item.is_text() ? json_text(each) : each;
  });
  return words += ']';
}

}  // namespace

std::uint32_t bytes_of(ValueType type) noexcept { return kBytes[static_cast<std::size_t>(type)]; }

std::uint64_t MetadataValue::as_integer() const noexcept {
  switch (type()) {
    case ValueType::kU8:
    case ValueType::kBool:
      return integer_of<std::uint8_t>(bytes());
    case ValueType::kI8:
      return integer_of<std::int8_t>(bytes());
    case ValueType::kU16:
      return integer_of<std::uint16_t>(bytes());
    case ValueType::kI16:
      return integer_of<std::int16_t>(bytes());
    case ValueType::kU32:
      return integer_of<std::uint32_t>(bytes());
    case ValueType::kI32:
      return integer_of<std::int32_t>(bytes());
    case ValueType::kU64:
    case ValueType::kI64:
      return integer_of<std::uint64_t>(bytes());
    case ValueType::kF32:
    case ValueType::kF64:
    case ValueType::kText:
    case ValueType::kList:
      break;
  }
  return 0;
}

double MetadataValue::as_float() const noexcept {
  if (type() == ValueType::kF32) return number_of<float>(bytes());
  if (type() == ValueType::kF64) return number_of<double>(bytes());
  return 0;
}

void MetadataValue::for_each_item(FunctionRef<void(const MetadataValue&)> visit) const {
  if (type() != ValueType::kList) return;
  std::string_view rest = bytes();
  const auto item_type = static_cast<ValueType>(number_of<std::uint32_t>(rest));
  rest.remove_prefix(kItemTypeBytes);
  const auto count = number_of<std::uint64_t>(rest);
  rest.remove_prefix(kCountBytes);
  for (std::uint64_t index = 0; index < count; ++index) {
    std::uint64_t length = bytes_of(item_type);
    if (item_type == ValueType::kText) {
      length = number_of<std::uint64_t>(rest);
      rest.remove_prefix(kCountBytes);
    }
    visit({item_type, rest.substr(0, length)});
    rest.remove_prefix(length);
  }
}

std::string words_of(const MetadataValue& value) {
  switch (value.type()) {
    case ValueType::kText:
      return escaped_utf8(value.text());
    case ValueType::kList:
      return list_words(value);
    case ValueType::kBool:
      return value.as_integer() != 0 ? "true" : "false";
    case ValueType::kF32:
    case ValueType::kF64:
      return float_words(value);
    case ValueType::kI8:
    case ValueType::kI16:
    case ValueType::kI32:
    case ValueType::kI64:
      return digits_of(static_cast<std::int64_t>(value.as_integer()));
    case ValueType::kU8:
    case ValueType::kU16:
    case ValueType::kU32:
    case ValueType::kU64:
      break;
  }
  return digits_of(value.as_integer());
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// What a file says under one key. safetensors has texts alone, GGUF numbers and lists too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "quarrow/core/executor.h"

namespace quarrow {

// Numbered as in GGUF.
enum class ValueType : std::uint8_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kText,
  kList,
  kU64,
  kI64,
  kF64,
};
inline constexpr std::uint32_t kValueTypes = 13;

// Bytes of a value of that type; 0 for texts and lists, which have any number.
std::uint32_t bytes_of(ValueType type) noexcept;

// Borrows its bytes. As small as the view of a text: a header may have a million of them.
class MetadataValue {
 public:
  MetadataValue() = default;
  template <typename Text>
    requires std::is_convertible_v<const Text&, std::string_view>
  // Most values are texts, and those of safetensors all.
  // NOLINTNEXTLINE(google-explicit-constructor)
  MetadataValue(const Text& text) noexcept : MetadataValue(ValueType::kText, text) {}
  // The bytes as GGUF stores them: of a number little-endian, of a list (which whoever calls has
  // checked) the type of its items, their count and the items; of a text without its length. Fewer
  // than 2^56.
  MetadataValue(ValueType type, std::string_view bytes) noexcept
      : data_(bytes.data()), size_and_type_(bytes.size() | of_type(type)) {}

  ValueType type() const noexcept { return static_cast<ValueType>(size_and_type_ >> kSizeBits); }
  std::string_view bytes() const noexcept { return {data_, size_and_type_ & kSizeMask}; }
  bool is_text() const noexcept { return type() == ValueType::kText; }
  // Nothing of what is no text.
  std::string_view text() const noexcept { return is_text() ? bytes() : std::string_view(); }

  // Of numbers and bool, what they are; 0 of others. A U64 beyond an I64 and the other way round is
  // cast, so that whoever asks looks at the type.
  std::uint64_t as_integer() const noexcept;
  double as_float() const noexcept;

  // The items of a list, one after the other; nothing of others.
  void for_each_item(FunctionRef<void(const MetadataValue&)> visit) const;

  friend bool operator==(const MetadataValue& left, const MetadataValue& right) noexcept {
    return left.size_and_type_ == right.size_and_type_ && left.bytes() == right.bytes();
  }

 private:
  static constexpr unsigned kSizeBits = 56;
  static constexpr std::uint64_t kSizeMask = (std::uint64_t{1} << kSizeBits) - 1;
  static constexpr std::uint64_t of_type(ValueType type) noexcept {
    return static_cast<std::uint64_t>(type) << kSizeBits;
  }

  const char* data_ = nullptr;
  std::uint64_t size_and_type_ = of_type(ValueType::kText);
};
static_assert(sizeof(MetadataValue) == sizeof(std::string_view));

// The value in words: a text as it is, but for bytes that are no UTF-8 (\xff), a number as JSON has
// it (NaN and Infinity as Python's), a list as a list of JSON.
std::string words_of(const MetadataValue& value);

}  // namespace quarrow

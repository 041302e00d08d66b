// SPDX-License-Identifier: Apache-2.0
//
// A JSON document as a tree. That of nlohmann asks for memory while it is destroyed, and ends the
// process where there is none; this one never does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace quarrow {

class JsonValue {
 public:
  struct Member;

  // Null.
  JsonValue() noexcept;
  // A bool, std::int64_t, std::uint64_t, double or std::string.
  template <typename T>
    requires(!std::is_same_v<T, JsonValue>)
  explicit JsonValue(T value) noexcept;
  JsonValue(const JsonValue&);
  JsonValue(JsonValue&&) noexcept;
  JsonValue& operator=(const JsonValue&);
  JsonValue& operator=(JsonValue&&) noexcept;
  ~JsonValue();
  static JsonValue array() noexcept;
  static JsonValue object() noexcept;

  bool is_object() const noexcept { return std::holds_alternative<Object>(value_); }
  bool is_array() const noexcept { return std::holds_alternative<Array>(value_); }

  bool is_null() const noexcept { return std::holds_alternative<std::nullptr_t>(value_); }

  // Null when it is of another type.
  const std::string* text() const noexcept { return std::get_if<std::string>(&value_); }
  const bool* boolean() const noexcept { return std::get_if<bool>(&value_); }
  const double* real() const noexcept { return std::get_if<double>(&value_); }
  // Integers that are not negative; the other ones.
  const std::uint64_t* whole() const noexcept { return std::get_if<std::uint64_t>(&value_); }
  const std::int64_t* negative() const noexcept { return std::get_if<std::int64_t>(&value_); }

  // Of an array; of another value none.
  const std::vector<JsonValue>& items() const noexcept;
  // Of an object, by name; of another value none.
  const std::vector<Member>& members() const noexcept;
  // Of an object when it has one of that name, the last one; else null.
  const JsonValue* member(std::string_view name) const noexcept;

  // As JSON, members in the order in which they are held.
  std::string text_of() const;

  // The value that is added, until the next one is.
  JsonValue& add_item(JsonValue value);
  JsonValue& add_member(std::string name, JsonValue value);
  // Once all members are added: they are looked for by name.
  void sort_members();

 private:
  using Array = std::vector<JsonValue>;
  using Object = std::vector<Member>;

  std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string, Array,
               Object>
      value_;
};

struct JsonValue::Member {
  std::string name;
  JsonValue value;
};

// Below, since a variant must know what its alternatives hold.
template <typename T>
  requires(!std::is_same_v<T, JsonValue>)
JsonValue::JsonValue(T value) noexcept : value_(std::move(value)) {}
inline JsonValue::JsonValue() noexcept : value_(nullptr) {}
inline JsonValue::JsonValue(const JsonValue&) = default;
inline JsonValue::JsonValue(JsonValue&&) noexcept = default;
inline JsonValue& JsonValue::operator=(const JsonValue&) = default;
inline JsonValue& JsonValue::operator=(JsonValue&&) noexcept = default;
inline JsonValue::~JsonValue() = default;

}  // namespace quarrow

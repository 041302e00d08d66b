// SPDX-License-Identifier: Apache-2.0
#include "layouts/json_value.h"

#include <algorithm>
#include <iterator>

namespace quarrow {

JsonValue JsonValue::array() noexcept { return JsonValue(Array()); }
JsonValue JsonValue::object() noexcept { return JsonValue(Object()); }

const std::vector<JsonValue>& JsonValue::items() const noexcept {
  static constinit const Array none;
  const auto* array = std::get_if<Array>(&value_);
  return array == nullptr ? none : *array;
}

const std::vector<JsonValue::Member>& JsonValue::members() const noexcept {
  static constinit const Object none;
  const auto* object = std::get_if<Object>(&value_);
  return object == nullptr ? none : *object;
}

const JsonValue* JsonValue::member(std::string_view name) const noexcept {
  const Object& all = members();
  const auto after = std::ranges::upper_bound(all, name, {}, &Member::name);
  if (after == all.begin() || std::prev(after)->name != name) return nullptr;
  return &std::prev(after)->value;
}

JsonValue& JsonValue::add_item(JsonValue value) {
  return std::get<Array>(value_).emplace_back(std::move(value));
}

JsonValue& JsonValue::add_member(std::string name, JsonValue value) {
  return std::get<Object>(value_).emplace_back(Member{std::move(name), std::move(value)}).value;
}

void JsonValue::sort_members() {
  std::ranges::stable_sort(std::get<Object>(value_), {}, &Member::name);
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "layouts/json_value.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iterator>

#include "core/json_text.h"

namespace quarrow {
namespace {

// The shortest of two texts that reads back as the same number.
std::string number_text(double value) {
  if (!std::isfinite(value)) return "null";
  char text[32];
  std::snprintf(text, sizeof(text), "%.15g", value);
  if (std::strtod(text, nullptr) != value) std::snprintf(text, sizeof(text), "%.17g", value);
  return text;
}

}  // namespace

std::string JsonValue::text_of() const {
  if (const bool* value = boolean()) return *value ? "true" : "false";
  if (const std::string* value = text()) return json_text(*value);
  if (const std::uint64_t* value = whole()) return std::to_string(*value);
  if (const std::int64_t* value = negative()) return std::to_string(*value);
  if (const double* value = real()) return number_text(*value);
  if (is_null()) return "null";
  std::string list;
  const auto next = [&list] { list += list.empty() ? "" : ", "; };
  for (const JsonValue& item : items()) {
    next();
    list += item.text_of();
  }
  for (const auto& [name, value] : members()) {
    next();
    list.append(json_text(name)).append(": ").append(value.text_of());
  }
  return is_array() ? "[" + list + "]" : "{" + list + "}";
}

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

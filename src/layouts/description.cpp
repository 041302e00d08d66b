// SPDX-License-Identifier: Apache-2.0
#include "layouts/description.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace quarrow {
namespace {

constexpr std::size_t kMaxDepth = 16;

// Builds the tree of a text. The callbacks are those of nlohmann's SAX interface; each says whether
// to go on.
class TreeBuilder {
 public:
  using Json = nlohmann::json;

  explicit TreeBuilder(std::size_t max_values) : values_left_(max_values) {}

  bool start_object(std::size_t) { return open(JsonValue::object()); }
  bool start_array(std::size_t) { return open(JsonValue::array()); }
  bool end_array() { return close(); }
  bool end_object() {
    open_.back()->sort_members();
    return close();
  }
  bool key(std::string& name) {
    name_ = std::move(name);
    return count();
  }
  bool string(std::string& text) { return add(JsonValue(std::move(text))) != nullptr; }
  bool number_unsigned(std::uint64_t value) { return add(JsonValue(value)) != nullptr; }
  bool number_integer(std::int64_t value) { return add(JsonValue(value)) != nullptr; }
  bool number_float(double value, const std::string&) { return add(JsonValue(value)) != nullptr; }
  bool boolean(bool value) { return add(JsonValue(value)) != nullptr; }
  bool null() { return add(JsonValue()) != nullptr; }
  bool binary(Json::binary_t&) { return false; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) {
    return false;
  }

  JsonValue take() { return std::move(root_); }

 private:
  bool count() {
    if (values_left_ == 0) return false;
    --values_left_;
    return true;
  }

  // Null when it is one too many.
  JsonValue* add(JsonValue value) {
    if (!count()) return nullptr;
    if (open_.empty()) return &(root_ = std::move(value));
    JsonValue& parent = *open_.back();
    return parent.is_array() ? &parent.add_item(std::move(value))
                             : &parent.add_member(std::move(name_), std::move(value));
  }

  bool open(JsonValue value) {
    if (open_.size() > kMaxDepth) return false;
    JsonValue* const added = add(std::move(value));
    if (added == nullptr) return false;
    open_.push_back(added);
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::size_t values_left_;
  JsonValue root_;
  std::vector<JsonValue*> open_;  // from the root to where the next value belongs
  std::string name_;
};

std::string shape_text(std::initializer_list<std::uint64_t> shape) {
  std::string text = "[";
  for (const std::uint64_t dimension : shape) {
    text.append(text.size() == 1 ? "" : ", ").append(std::to_string(dimension));
  }
  return text + "]";
}

}  // namespace

std::optional<JsonValue> parse_description(std::string_view text, std::size_t max_values) {
  TreeBuilder builder(max_values);
  if (!TreeBuilder::Json::sax_parse(text, &builder)) return std::nullopt;
  return builder.take();
}

const std::string* text_member(const JsonValue& object, std::string_view name) {
  const JsonValue* value = object.member(name);
  return value == nullptr ? nullptr : value->text();
}

void throw_layer_fault(FileRule rule, const Checkpoint& file, const TensorEntry* tensor,
                       std::string detail) {
  CheckpointFault fault(rule, tensor == nullptr ? file.path : file.file_of(*tensor).file.path());
  if (tensor != nullptr) fault.tensor = std::string(tensor->name);
  fault.detail = std::move(detail);
  throw fault;
}

void check_entry(const Checkpoint& file, const TensorEntry& entry, ElementType dtype,
                 std::initializer_list<std::uint64_t> shape) {
  if (entry.dtype != dtype) {
    throw_layer_fault(FileRule::kLayerDType, file, &entry,
                      "it must be " + std::string(name_of(dtype)));
  }
  if (!std::ranges::equal(entry.shape, shape)) {
    throw_layer_fault(FileRule::kLayerShape, file, &entry, "it must be " + shape_text(shape));
  }
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "layouts/description.h"

#include <algorithm>
#include <utility>

namespace quarrow {
namespace {

constexpr int kMaxDepth = 16;

struct TooMuch {};

std::string shape_text(std::initializer_list<std::uint64_t> shape) {
  std::string text = "[";
  for (const std::uint64_t dimension : shape) {
    text.append(text.size() == 1 ? "" : ", ").append(std::to_string(dimension));
  }
  return text + "]";
}

}  // namespace

nlohmann::json parse_description(std::string_view text, std::size_t max_values) {
  using Event = nlohmann::json::parse_event_t;
  std::size_t values = 0;
  const auto count = [&](int depth, Event event, const nlohmann::json&) {
    const bool adds = event == Event::value || event == Event::key ||
                      event == Event::object_start || event == Event::array_start;
    if (depth > kMaxDepth || (adds && ++values > max_values)) throw TooMuch();
    return true;
  };
  try {
    return nlohmann::json::parse(text.begin(), text.end(), count, /*allow_exceptions=*/false);
  } catch (const TooMuch&) {
    return nlohmann::json(nlohmann::json::value_t::discarded);
  }
}

const nlohmann::json* member(const nlohmann::json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

const std::string* text_member(const nlohmann::json& object, std::string_view key) {
  const nlohmann::json* value = member(object, key);
  return value == nullptr ? nullptr : value->get_ptr<const std::string*>();
}

void throw_layer_fault(FileRule rule, const Checkpoint& file, const TensorEntry* tensor,
                       std::string detail) {
  CheckpointFault fault(rule, tensor == nullptr ? file.path : file.file_of(*tensor).file.path());
  if (tensor != nullptr) fault.tensor = std::string(tensor->name);
  fault.detail = std::move(detail);
  throw fault;
}

void check_entry(const Checkpoint& file, const TensorEntry& entry, StoredDType dtype,
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

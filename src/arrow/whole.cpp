// SPDX-License-Identifier: Apache-2.0
#include "arrow/whole.h"

#include "quarrow/arrow/layer_table.h"

namespace quarrow {
namespace {

// Their bytes can be counted in 63 bits, whatever the type.
constexpr std::int64_t kMostValues = std::int64_t{1} << 57;

std::optional<ArrowRule> fault_below(const ArrowSchema* schema, int levels_left,
                                     std::int64_t& fields_left) noexcept {
  if (schema == nullptr || schema->release == nullptr || schema->format == nullptr ||
      schema->n_children < 0 || (schema->n_children != 0 && schema->children == nullptr)) {
    return ArrowRule::kMissingParts;
  }
  if (levels_left == 0 || schema->n_children > --fields_left) return ArrowRule::kTooDeep;
  for (std::int64_t i = 0; i < schema->n_children; ++i) {
    const auto fault = fault_below(schema->children[i], levels_left - 1, fields_left);
    if (fault) return fault;
  }
  if (schema->dictionary == nullptr) return std::nullopt;
  return fault_below(schema->dictionary, levels_left - 1, fields_left);
}

}  // namespace

std::optional<ArrowRule> fault_of(const ArrowSchema& schema) noexcept {
  std::int64_t fields_left = kMaxSchemaFields;
  return fault_below(&schema, kMaxSchemaDepth, fields_left);
}

bool is_whole(const ArrowArray* array, const ArrowParts& parts) noexcept {
  if (array == nullptr || array->release == nullptr) return false;
  if (array->length < 0 || array->length > kMostValues || array->offset < 0 ||
      array->offset > kMostValues) {
    return false;
  }
  if (array->n_buffers < parts.buffers || array->n_children != parts.children) return false;
  if (array->n_buffers != 0 && array->buffers == nullptr) return false;
  if (array->n_children != 0 && array->children == nullptr) return false;
  return parts.buffers < 2 || array->length == 0 || array->buffers[1] != nullptr;
}

}  // namespace quarrow

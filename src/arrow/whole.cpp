// SPDX-License-Identifier: Apache-2.0
#include "arrow/whole.h"

namespace quarrow {

bool is_whole(const ArrowSchema* schema) noexcept {
  if (schema == nullptr || schema->release == nullptr || schema->format == nullptr) return false;
  if (schema->n_children < 0 || (schema->n_children != 0 && schema->children == nullptr)) {
    return false;
  }
  for (std::int64_t i = 0; i < schema->n_children; ++i) {
    if (!is_whole(schema->children[i])) return false;
  }
  return schema->dictionary == nullptr || is_whole(schema->dictionary);
}

bool is_whole(const ArrowArray* array, const ArrowParts& parts) noexcept {
  if (array == nullptr || array->release == nullptr) return false;
  std::int64_t end = 0;
  if (array->length < 0 || array->offset < 0 ||
      __builtin_add_overflow(array->length, array->offset, &end)) {
    return false;
  }
  if (array->n_buffers < parts.buffers || array->n_children != parts.children) return false;
  if (array->n_buffers != 0 && array->buffers == nullptr) return false;
  if (array->n_children != 0 && array->children == nullptr) return false;
  return parts.buffers < 2 || array->length == 0 || array->buffers[1] != nullptr;
}

}  // namespace quarrow

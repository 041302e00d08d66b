// SPDX-License-Identifier: Apache-2.0
#include "layouts/gguf_shapes.h"

#include <vector>

#include "core/checked_math.h"
#include "layouts/layer_names.h"

namespace quarrow {
namespace {

constexpr std::string_view kKey = "comfy.gguf.orig_shape.";

// 0 where they are beyond 63 bits.
std::uint64_t elements_of(std::span<const std::uint64_t> shape) {
  std::uint64_t elements = 1;
  for (const std::uint64_t dimension : shape) {
    elements = checked_product(elements, dimension).value_or(0);
  }
  return elements;
}

}  // namespace

bool is_shape_before(std::string_view key) noexcept { return key.starts_with(kKey); }

Shapes shapes_before(const Checkpoint& file, std::pmr::memory_resource& memory) {
  Shapes shapes;
  if (file.container != Container::kGguf || !file.tensors.metadata()) return shapes;
  for (const auto& [key, value] : *file.tensors.metadata()) {
    if (!is_shape_before(key)) continue;
    const TensorEntry* tensor = file.tensors.find(key.substr(kKey.size()));
    if (tensor == nullptr) continue;
    std::vector<std::uint64_t> shape;
    value.for_each_item([&](const MetadataValue& item) { shape.push_back(item.as_integer()); });
    const std::uint64_t elements = elements_of(shape);
    if (shape.empty() || elements == 0 || elements != elements_of(tensor->shape)) continue;
    shapes.emplace(tensor->name, keep(shape, memory));
  }
  return shapes;
}

}  // namespace quarrow

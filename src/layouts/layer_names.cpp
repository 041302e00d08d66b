// SPDX-License-Identifier: Apache-2.0
#include "layouts/layer_names.h"

#include <algorithm>

namespace quarrow {

std::string_view layer_of(std::string_view weight_name) {
  return weight_name.substr(0, weight_name.size() - kWeightSuffix.size());
}

std::string_view joined(std::string_view layer, std::string_view suffix,
                        std::pmr::memory_resource& memory) {
  return keep(std::string(layer).append(suffix), memory);
}

bool has_entry(const TensorTable& file, std::string_view layer, std::string_view suffix) {
  return file.find(std::string(layer).append(suffix)) != nullptr;
}

std::string_view keep(std::string_view text, std::pmr::memory_resource& memory) {
  char* copy = static_cast<char*>(memory.allocate(text.size(), 1));
  text.copy(copy, text.size());
  return {copy, text.size()};
}

std::span<const std::uint64_t> keep(std::span<const std::uint64_t> shape,
                                    std::pmr::memory_resource& memory) {
  auto* copy =
      static_cast<std::uint64_t*>(memory.allocate(shape.size_bytes(), alignof(std::uint64_t)));
  std::copy(shape.begin(), shape.end(), copy);
  return {copy, shape.size()};
}

}  // namespace quarrow

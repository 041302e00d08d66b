// SPDX-License-Identifier: Apache-2.0
//
// Memory for the parts of one layer.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "quarrow/quantize/execute.h"

namespace quarrow {

class PartMemory {
 public:
  explicit PartMemory(const LayerPlan& layer) {
    for (const PartSpec& part : layer.encoding.parts()) bytes_[part.role].resize(part.bytes());
  }

  QuantizedSpan span() {
    QuantizedSpan parts;
    for (std::size_t i = 0; i < kRoles; ++i) parts.items[i] = bytes_.items[i].data();
    return parts;
  }
  QuantizedView view() { return view_of(span()); }
  std::string text(Role role) const {
    const std::vector<std::byte>& bytes = bytes_[role];
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  friend bool operator==(const PartMemory&, const PartMemory&) = default;

 private:
  PerRole<std::vector<std::byte>> bytes_;
};

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// A table of tensors that have names and shapes, and no values.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "quarrow/containers/tensor_table.h"

namespace quarrow {

class NamedTensors {
 public:
  NamedTensors() = default;
  NamedTensors(std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) add(name);
  }

  NamedTensors& add(std::string_view name, std::vector<std::uint64_t> shape = {64, 64}) {
    bool partial_byte = false;
    TensorEntry entry{table_.keep(name), table_.keep(shape), ElementType::kF16, 0, end_, 0};
    end_ += *tensor_bytes(entry.dtype, entry.shape, partial_byte);
    entry.end = end_;
    table_.add(entry);
    return *this;
  }

  const TensorTable& table() {
    table_.seal();
    return table_;
  }

 private:
  TensorTable table_;
  std::uint64_t end_ = 0;
};

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// Tables of tensors without data.
#pragma once

#include <string_view>
#include <vector>

#include "quarrow/containers/tensor_table.h"

namespace quarrow {

struct NamedTensor {
  std::string_view name;
  ElementType dtype = ElementType::kF16;
  std::vector<std::uint64_t> shape = {8, 8};
};

inline TensorTable table_of(const std::vector<NamedTensor>& tensors,
                            const TensorTable::Metadata& metadata = {}) {
  TensorTable table;
  std::uint64_t end = 0;
  for (const NamedTensor& tensor : tensors) {
    bool partial_byte = false;
    TensorEntry entry{table.keep(tensor.name), table.keep(tensor.shape), tensor.dtype, 0, end, 0};
    end += *tensor_bytes(tensor.dtype, entry.shape, partial_byte);
    entry.end = end;
    table.add(entry);
  }
  if (!metadata.empty()) table.set_metadata(metadata);
  table.seal();
  return table;
}

}  // namespace quarrow

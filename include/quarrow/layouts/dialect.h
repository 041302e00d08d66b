// SPDX-License-Identifier: Apache-2.0
//
// In which ways programs store quantized layers, known by the names of their tensors. What belongs
// to such a layer stays as it is: its runtime reads those very bytes by those names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "quarrow/containers/tensor_table.h"

namespace quarrow {

struct Dialect {
  std::string_view name;    // as people call it: "bitsandbytes"
  std::string_view reader;  // who loads it; empty: anybody, since it is nobody's scheme
};

inline constexpr std::string_view kReaderComfyUi = "ComfyUI";
inline constexpr std::string_view kReaderCompressedTensors = "compressed-tensors";

extern const Dialect kCompressedTensorsDialect;
extern const Dialect kPlainFloat8Dialect;

// A quantized layer of a file. Borrows from its table.
struct DialectLayer {
  std::string_view name;  // of the module or the parameter that its tensors stand below
  const Dialect* dialect = nullptr;
};

// The quantized layers of a file, whoever wrote them and whether they can be decoded or not.
// Borrows from the table.
class DialectLayers {
 public:
  explicit DialectLayers(const TensorTable& file);

  // By name, each once.
  std::span<const DialectLayer> layers() const noexcept { return layers_; }
  // The layer that the tensor belongs to, be it codes, a scale or a bias; null when it belongs to
  // none.
  const DialectLayer* owner(const TensorEntry& tensor) const noexcept;
  // Its dialect. Scales of activations and of caches, which may stand above the layers, have one
  // too.
  const Dialect* of(const TensorEntry& tensor) const noexcept;
  bool has(const Dialect& dialect) const noexcept;

 private:
  const DialectLayer* find(std::string_view name) const noexcept;

  std::vector<DialectLayer> layers_;
};

}  // namespace quarrow

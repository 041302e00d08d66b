// SPDX-License-Identifier: Apache-2.0
//
// From arrays to codes in one call, which owns what it makes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "quarrow/core/context.h"
#include "quarrow/core/status.h"
#include "quarrow/core/tensor_view.h"
#include "quarrow/quantize/execute.h"
#include "quarrow/quantize/layer_memory.h"
#include "quarrow/quantize/plan.h"

namespace quarrow {

// Layers in the order in which they were asked for, with the memory that they lie in: a value,
// whose copies share that memory. plan and views() are what dequantize() and measure_error() take.
struct QuantizedLayers {
  Plan plan;                     // of each layer format, dtype, rows, columns and encoding
  LayerMemory memory;            // its owner() keeps a layer alive by itself
  std::vector<Status> statuses;  // of each layer; what failed has parts that mean nothing
  Status status;                 // the first of them that is not ok, or why there are no layers

  bool ok() const noexcept { return status.ok(); }
  std::size_t size() const noexcept { return plan.layers.size(); }

  // A part of a layer, as long as this or a copy lives: rows of PartSpec::row_bytes bytes, nothing
  // where the format has no such part. Throw std::out_of_range.
  std::span<const std::byte> part(std::size_t layer, Role role) const;
  // The same for the usual ones: codes, of int8 where PartSpec::type says so; scales in f32,
  // whatever their dtype in files; zero points.
  std::span<const std::uint8_t> codes(std::size_t layer) const;
  std::span<const float> scales(std::size_t layer) const;
  std::span<const std::uint8_t> zero_points(std::size_t layer) const;

  // Of all layers, borrowed.
  std::vector<QuantizedView> views() const;

 private:
  template <typename Element>
  std::span<const Element> elements(std::size_t layer, Role role) const {
    const std::span<const std::byte> bytes = part(layer, role);
    return {reinterpret_cast<const Element*>(bytes.data()), bytes.size() / sizeof(Element)};
  }
};

struct QuantizeOptions {
  NonFinitePolicy policy = NonFinitePolicy::kRaise;
  LayerProgress* progress = nullptr;               // borrowed; may be null
  std::uint64_t own_from = LayerMemory::kOwnFrom;  // see LayerMemory
};

// Quantizes layers, each by its own format, as one job. A layer that fails (kNonFinite, kBeyondF32,
// kRangeOverflow) does not disturb the others. Where the call makes no sense, status.h says how, or
// sizes do not fit (kSizeOverflow), there are no layers, and status names the request. Borrows the
// inputs for the call. Throws std::bad_alloc.
QuantizedLayers quantize_layers(std::span<const LayerRequest> layers, const Context& context = {},
                                const QuantizeOptions& options = {});

// The same of one layer.
inline QuantizedLayers quantize_layer(const LayerRequest& layer, const Context& context = {},
                                      const QuantizeOptions& options = {}) {
  return quantize_layers({&layer, 1}, context, options);
}

// The same in two steps, for who makes the plan and keeps the views: room for every layer of a
// plan, whose tiles are cut here, and the job that fills it. The first throws std::bad_alloc and as
// cut_tiles(); the second is quantize() in execute.h, with the statuses of the layers.
QuantizedLayers allocate_layers(Plan plan, std::uint64_t own_from = LayerMemory::kOwnFrom);
Status quantize(QuantizedLayers& layers, std::span<const TensorView> inputs, NonFinitePolicy policy,
                const Context& context, LayerProgress* progress = nullptr);

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// The layers that one call quantizes together.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <vector>

#include "input_array.h"
#include "quantized_tensor.h"
#include "quarrow/core/executor.h"
#include "quarrow/quantize/execute.h"
#include "quarrow/quantize/plan.h"
#include "quarrow/quantize/quantized_layers.h"

namespace quarrow::python {

enum class ErrorPolicy : std::uint8_t {
  kRaise,  // the first layer that fails, in the order of the input, ends the call
  kSkip,   // a layer that fails has an error instead of a result
};

// A layer's values, borrowed.
struct LayerView {
  TensorView view;
  std::vector<std::int64_t> shape;
};

// Named layers, borrowed where they lie until this goes. Every function needs the lock.
class LayerBatch {
 public:
  explicit LayerBatch(ErrorPolicy on_error);

  // How many layers are expected, where that is known.
  void reserve(std::size_t layers);

  // Whether what was added is too small to time its parts. Before run().
  bool is_small() const noexcept;

  bool has(nanobind::handle name) const { return index_.contains(name); }

  // Takes the next layer: `read` gives its values or raises what is wrong with it. False: it failed
  // and ends the batch; run() raises its error, unless an earlier layer fails too. Raises
  // InvalidInputError for a name that is no str, or that an earlier layer has.
  bool add(nanobind::handle name, const Format& format, FunctionRef<LayerView()> read);

  // The same for an array that quarrow.quantize takes, held until this goes.
  bool add(nanobind::handle name, nanobind::handle array, const Format& format, bool copy);

  // Quantizes what was added, once, and fills in the statistics but for the times before and after
  // it; of small calls the time of the core alone. Raises what the first layer that fails would
  // raise by itself, or with kSkip nothing but what is no layer's fault: Ctrl-C, an exception in
  // `progress` (a callable or None), no memory. `own_from`: see LayerMemory.
  QuantizedLayers run(NonFinitePolicy policy, nanobind::handle threads, nanobind::handle progress,
                      CallStats& stats, std::uint64_t own_from = LayerMemory::kOwnFrom);

  // After run(), in the order of the input: name to index in QuantizedLayers, of what has a result,
  // and name to QuarrowError, of what has none.
  nanobind::dict index() const { return index_; }
  nanobind::dict errors() const { return errors_; }

  // Of a layer of QuantizedLayers, as it was passed.
  std::vector<std::int64_t>& shape(std::size_t layer) { return shapes_[layer]; }

 private:
  void plan(nanobind::handle name, const Format& format, LayerView layer);
  void fail(std::size_t position, const nanobind::python_error& error);
  [[noreturn]] void raise_layer(const Status& status) const;
  void raise_first_failure(const Status& first);
  void fail_layers(const QuantizedLayers& made);
  void count_bytes(const QuantizedLayers& made, CallStats& stats) const;
  void separate_failures();

  struct Failure {
    std::size_t position = 0;
    nanobind::object error;
  };

  ErrorPolicy on_error_;
  std::vector<nanobind::object> names_;  // of all layers; a position is an index in it
  nanobind::dict index_;
  nanobind::dict errors_;
  std::vector<Failure> failures_;
  std::exception_ptr ending_;           // what add() has put off
  std::vector<InputArray> inputs_;      // those that are held
  std::vector<std::size_t> positions_;  // of the layers of the plan, as all below
  std::vector<TensorView> views_;
  std::vector<std::vector<std::int64_t>> shapes_;
  Plan plan_;
  std::uint64_t bytes_copied_ = 0;
};

}  // namespace quarrow::python

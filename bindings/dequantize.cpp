// SPDX-License-Identifier: Apache-2.0
#include "dequantize.h"

#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "array_argument.h"
#include "call_context.h"
#include "errors.h"
#include "format_argument.h"
#include "metrics.h"
#include "option_arguments.h"
#include "output_memory.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

// What values become: numpy arrays of a dtype, or what `like` is.
class ResultKind {
 public:
  ResultKind(nb::handle dtype, nb::handle like, nb::handle name) : like_(nb::borrow(like)) {
    if (!like.is_none()) {
      if (!nb::isinstance<nb::str>(dtype) || !nb::str("float32").equal(dtype)) {
        raise_invalid_input("like says the dtype too; pass one of dtype and like", name);
      }
      dtype = like_module().attr("dtype_of")(like, name);
    }
    dtype_ = dtype_argument(dtype, "dtype");
    if (dtype_ == DType::kF64) {
      raise_invalid_input("dtype must be 'float32', 'float16' or 'bfloat16', not 'float64'", name);
    }
  }

  DType dtype() const noexcept { return dtype_; }
  bool is_like() const { return !like_.is_none(); }

  // To be asked before anything is computed for a new array.
  void check_array(nb::handle name) const {
    if (is_like() || dtype_ != DType::kBF16 || has_ml_dtypes()) return;
    raise_invalid_input(
        "numpy has no bfloat16 without ml_dtypes: python -m pip install ml_dtypes, or pass "
        "like=tensor, one of torch or jax in bfloat16",
        name);
  }

  nb::object result(const ArraySpec& spec, const std::shared_ptr<std::byte>& memory) const {
    const nb::object base = memory_capsule(memory);
    if (!is_like()) return new_array(memory.get(), spec.type, spec.shape, base);
    const std::array flat{static_cast<std::int64_t>(spec.bytes())};
    const nb::object bytes = new_array(memory.get(), ElementType::kU8, flat, base);
    nb::list shape;
    for (const std::int64_t dimension : spec.shape) shape.append(dimension);
    return like_module().attr("like_array")(bytes, name_of(dtype_), nb::tuple(shape), like_);
  }

 private:
  static nb::object like_module() { return nb::module_::import_("quarrow.like"); }

  nb::object like_;
  DType dtype_ = DType::kF32;
};

void check_overlap(const QuantizedTensor& tensor, std::span<const std::byte> written,
                   nb::handle name) {
  for (const std::span<const std::byte> part : tensor.memory()) {
    if (overlap(written, part)) {
      raise_invalid_input("out must not overlap the tensor's own arrays", name);
    }
  }
}

void check_one_of(nb::handle out, nb::handle like, nb::handle name) {
  if (out.is_none() || like.is_none()) return;
  raise_invalid_input("out is written as it is; pass one of out and like", name);
}

// A tensor of a batch, which lives as long as this.
struct NamedTensor {
  nb::object name;
  nb::object object;
  const QuantizedTensor* tensor = nullptr;
  ArraySpec spec;  // of its values
  nb::object out;  // where they go: the caller's array, or nothing
  std::shared_ptr<std::byte> memory;
};

// The caller's array for that name.
nb::object output_of(nb::handle out, nb::handle name) {
  nb::object found = out.attr("get")(name);
  if (found.is_none()) {
    raise_invalid_input("out has no array for it", name);
  }
  return found;
}

std::vector<NamedTensor> named_tensors(nb::handle tensors) {
  if (!is_mapping(tensors)) {
    raise_invalid_input("tensors must map names to QuantizedTensors, as a BatchResult does, not " +
                        short_repr(tensors.type()));
  }
  std::vector<NamedTensor> result;
  for (const nb::handle pair : tensors.attr("items")()) {
    NamedTensor& next = result.emplace_back();
    if (!nb::isinstance<nb::tuple>(pair) || nb::len(pair) != 2) {
      raise_invalid_input("the items of tensors must be (name, tensor) pairs, not " +
                          short_repr(pair));
    }
    next.name = pair[0];
    next.object = pair[1];
    static_cast<void>(name_argument(next.name));
    if (!is_quantized_tensor(next.object)) {
      raise_invalid_input("got " + short_repr(next.object.type()) + " instead of a QuantizedTensor",
                          next.name);
    }
    next.tensor = &nb::cast<const QuantizedTensor&>(next.object);
  }
  return result;
}

// No output may overlap another one or what is read.
void check_overlaps(std::span<const NamedTensor> layers, std::span<const DequantizedSpan> spans) {
  struct Stretch {
    std::span<const std::byte> bytes;
    bool is_output = false;
    nb::handle name;
  };
  std::vector<Stretch> stretches;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::span written(static_cast<const std::byte*>(spans[i].data), layers[i].spec.bytes());
    stretches.push_back({written, true, layers[i].name});
    for (const std::span<const std::byte> part : layers[i].tensor->memory()) {
      stretches.push_back({part, false, layers[i].name});
    }
  }
  std::erase_if(stretches, [](const Stretch& each) { return each.bytes.empty(); });
  const auto start = [](const Stretch& each) {
    return reinterpret_cast<std::uintptr_t>(each.bytes.data());
  };
  std::ranges::sort(stretches, {}, start);
  // Of what lies before, only the outputs and the rest that reach farthest matter.
  std::uintptr_t end_of_outputs = 0;
  std::uintptr_t end_of_all = 0;
  for (const Stretch& each : stretches) {
    if (start(each) < (each.is_output ? end_of_all : end_of_outputs)) {
      raise_invalid_input("out must not overlap another array of out or of the tensors", each.name);
    }
    const std::uintptr_t end = start(each) + each.bytes.size();
    end_of_all = std::max(end_of_all, end);
    if (each.is_output) end_of_outputs = std::max(end_of_outputs, end);
  }
}

}  // namespace

Plan plan_of_shape(const Format& format, DType dtype, std::span<const std::int64_t> shape,
                   nb::handle name) {
  try {
    const LayerRequest request{matrix_view(nullptr, dtype, shape), format, {}};
    return plan_layers({&request, 1});
  } catch (const StatusError& error) {
    raise_status(error.status(), {.name = name, .shape = shape});
  }
}

nb::object dequantize(const QuantizedTensor& tensor, nb::handle dtype, nb::handle out,
                      nb::handle like, nb::handle threads) {
  CallRecord record(EntryPoint::kDequantize);
  const bool timed = is_reported(EntryPoint::kDequantize, tensor.bytes());
  const Clock::time_point entered = timed ? Clock::now() : Clock::time_point();
  // Reading an argument may run code that writes to this tensor, and gives it another name.
  const nb::object name = nb::borrow(tensor.name());
  check_one_of(out, like, name);
  const ResultKind kind(dtype, like, name);
  const LayerPlan& layer = tensor.layer();
  Plan plan = plan_of_shape(layer.format, layer.dtype, tensor.shape(), name);
  const ArraySpec spec{"out", element_type(kind.dtype()), tensor.shape()};
  std::shared_ptr<std::byte> memory;
  DequantizedSpan span{nullptr, kind.dtype()};
  if (out.is_none()) {
    kind.check_array(name);
    memory = allocate_output(spec.bytes());
    span.data = memory.get();
  } else {
    span.data = output_argument(out, spec, name);
    check_overlap(tensor, {static_cast<const std::byte*>(span.data), spec.bytes()}, name);
  }
  cut_tiles(plan);
  const QuantizedView stored = tensor.stored();
  CoreCall call(threads, plan.input_bytes);
  const Status status = call.run([&](const Context& context) {
    return quarrow::dequantize(plan, {&stored, 1}, {&span, 1}, context);
  });
  if (!status.ok()) {
    raise_status(status, {name, tensor.shape(), layer.cols});
  }
  nb::object result = out.is_none() ? kind.result(spec, memory) : nb::borrow(out);
  record.add(1, tensor.bytes());
  record.ran(threads_for(plan, call.context().threads), call.context());
  record.finish(timed ? seconds(entered, Clock::now()) : 0, name, layer.format.spec);
  return result;
}

nb::dict dequantize_batch(nb::handle tensors, nb::handle dtype, nb::handle out, nb::handle like,
                          nb::handle threads) {
  CallRecord record(EntryPoint::kDequantizeBatch);
  const Clock::time_point entered = Clock::now();
  check_one_of(out, like, nb::none());
  if (!out.is_none() && !is_mapping(out)) {
    raise_invalid_input("out must map the names to arrays, not " + short_repr(out.type()));
  }
  const ResultKind kind(dtype, like, nb::none());
  if (out.is_none()) {
    kind.check_array(nb::none());
  }
  std::vector<NamedTensor> layers = named_tensors(tensors);
  Plan plan;
  plan.layers.reserve(layers.size());
  std::vector<QuantizedView> stored;
  std::vector<DequantizedSpan> spans;
  for (NamedTensor& each : layers) {
    const QuantizedTensor& tensor = *each.tensor;
    const LayerPlan& layer = tensor.layer();
    try {
      add_layer(plan, {matrix_view(nullptr, layer.dtype, tensor.shape()), layer.format, {}});
    } catch (const StatusError& error) {
      raise_status(error.status(), {.name = each.name, .shape = tensor.shape()});
    }
    stored.push_back(tensor.stored());
    each.spec = {"out", element_type(kind.dtype()), tensor.shape()};
    if (out.is_none()) {
      each.memory = allocate_output(each.spec.bytes());
      spans.push_back({each.memory.get(), kind.dtype()});
    } else {
      each.out = output_of(out, each.name);
      spans.push_back({output_argument(each.out, each.spec, each.name), kind.dtype()});
    }
  }
  if (!out.is_none()) {
    check_overlaps(layers, spans);
  }
  cut_tiles(plan);
  CoreCall call(threads, plan.input_bytes);
  const Status status = call.run(
      [&](const Context& context) { return quarrow::dequantize(plan, stored, spans, context); });
  if (!status.ok()) {
    raise_status(status, {});
  }
  nb::dict result;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const NamedTensor& layer = layers[i];
    const bool is_new = !layer.out.is_valid();
    result[layer.name] = is_new ? kind.result(layer.spec, layer.memory) : layer.out;
    bytes += layer.tensor->bytes();
  }
  record.add(layers.size(), bytes);
  record.ran(threads_for(plan, call.context().threads), call.context());
  record.finish(seconds(entered, Clock::now()));
  return result;
}

}  // namespace quarrow::python

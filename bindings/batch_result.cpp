// SPDX-License-Identifier: Apache-2.0
#include "batch_result.h"

#include <utility>

#include "arrow_capsules.h"
#include "call_context.h"
#include "errors.h"
#include "new_instance.h"
#include "output_memory.h"

namespace nb = nanobind;

namespace quarrow::python {

BatchResult::BatchResult(LayerBatch& batch, const QuantizedLayers& made, const CallStats& stats)
    : tensors_(batch.index()), errors_(batch.errors()), stats_(stats) {
  std::vector<nb::object> slabs;
  for (const auto& owner : made.memory.owners()) slabs.push_back(memory_capsule(owner));
  const nb::handle type = nb::type<QuantizedTensor>();
  // Of one layer only the bytes are known; the threads were all layers'.
  CallStats own;
  own.threads = stats.threads;
  own.isa = stats.isa;
  for (const auto [name, at] : tensors_) {
    const auto layer = nb::cast<std::size_t>(at);
    const LayerPlan& plan = made.plan.layers[layer];
    const nb::object tensor = new_instance<QuantizedTensor>(
        type, plan, std::move(batch.shape(layer)), name, made.memory.spans()[layer],
        slabs[made.memory.owner_index(layer)]);
    own.bytes_in = plan.elements() * size_of(plan.dtype);
    own.bytes_out = stored_bytes(plan);
    nb::inst_ptr<QuantizedTensor>(tensor)->describe(name, plan.dtype, own);
    // It has the name already: iterating may go on.
    tensors_[name] = tensor;
  }
}

BatchResult::BatchResult(nb::handle tensors, nb::handle errors) {
  if (!nb::isinstance<nb::dict>(tensors) || !nb::isinstance<nb::dict>(errors)) {
    raise_invalid_input("tensors and errors must be dicts, not " + short_repr(tensors.type()) +
                        " and " + short_repr(errors.type()));
  }
  const auto check_name = [](nb::handle name) {
    if (!PyUnicode_Check(name.ptr())) {
      raise_invalid_input("the name of a layer must be a str, not " + short_repr(name));
    }
  };
  for (const auto [name, tensor] : nb::cast<nb::dict>(tensors)) {
    check_name(name);
    static_cast<void>(name_argument(name));
    if (!nb::isinstance<QuantizedTensor>(tensor)) {
      raise_invalid_input("a result holds QuantizedTensors, not " + short_repr(tensor.type()),
                          name);
    }
    tensors_[name] = tensor;
  }
  const nb::object base = nb::module_::import_("quarrow.exceptions").attr("QuarrowError");
  for (const auto [name, error] : nb::cast<nb::dict>(errors)) {
    check_name(name);
    if (!nb::isinstance(error, base) || tensors_.contains(name)) {
      raise_invalid_input(
          "errors are QuarrowErrors of layers without a result, not " + short_repr(error), name);
    }
    errors_[name] = error;
  }
}

nb::object BatchResult::tensor(nb::handle name) const {
  nb::object found = nb::borrow(PyDict_GetItemWithError(tensors_.ptr(), name.ptr()));
  if (!found.is_valid()) {
    if (PyErr_Occurred() == nullptr) {
      PyErr_SetObject(PyExc_KeyError, name.ptr());
    }
    throw nb::python_error();
  }
  return found;
}

std::vector<ResultRow> BatchResult::rows() const {
  std::vector<ResultRow> rows;
  rows.reserve(size());
  for (const auto [name, tensor] : tensors_) {
    ResultRow row = row_of(nb::cast<const QuantizedTensor&>(tensor));
    row.name = utf8_of(name);
    rows.push_back(std::move(row));
  }
  return rows;
}

int BatchResult::traverse(visitproc visit, void* argument) const noexcept {
  for (const nb::handle held : {nb::handle(tensors_), nb::handle(errors_)}) {
    if (const int stop = visit(held.ptr(), argument)) return stop;
  }
  return 0;
}

std::uint64_t BatchResult::bytes() const {
  std::uint64_t bytes = 0;
  for (const auto [name, tensor] : tensors_)
    bytes += nb::cast<const QuantizedTensor&>(tensor).bytes();
  return bytes;
}

}  // namespace quarrow::python

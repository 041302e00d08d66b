// SPDX-License-Identifier: Apache-2.0
#include "batch_result.h"

#include "arrow_capsules.h"
#include "call_context.h"
#include "errors.h"

namespace nb = nanobind;

namespace quarrow::python {

BatchResult::BatchResult(const LayerBatch& batch, std::shared_ptr<const QuantizedLayers> made,
                         const CallStats& stats)
    : index_(batch.index()),
      tensors_(made->plan.layers.size()),
      made_(std::move(made)),
      errors_(batch.errors()),
      stats_(stats) {}

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
    index_[name] = tensors_.size();
    tensors_.push_back(nb::borrow(tensor));
  }
  const nb::object base = nb::module_::import_("quarrow.exceptions").attr("QuarrowError");
  for (const auto [name, error] : nb::cast<nb::dict>(errors)) {
    check_name(name);
    if (!nb::isinstance(error, base) || index_.contains(name)) {
      raise_invalid_input(
          "errors are QuarrowErrors of layers without a result, not " + short_repr(error), name);
    }
    errors_[name] = error;
  }
}

nb::object BatchResult::tensor(nb::handle name) {
  const nb::object found = nb::borrow(PyDict_GetItemWithError(index_.ptr(), name.ptr()));
  if (!found.is_valid()) {
    if (PyErr_Occurred() != nullptr) {
      throw nb::python_error();
    }
    PyErr_SetObject(PyExc_KeyError, name.ptr());
    throw nb::python_error();
  }
  const auto layer = nb::cast<std::size_t>(found);
  nb::object& tensor = tensors_[layer];
  if (!tensor.is_valid()) {
    const LayerPlan& plan = made_->plan.layers[layer];
    QuantizedTensor made(plan, made_->shapes[layer], name, made_->memory.spans()[layer],
                         made_->memory.owner(layer));
    // Of one layer only the bytes are known; the threads were all layers'.
    CallStats stats;
    stats.bytes_in = plan.elements() * size_of(plan.dtype);
    stats.bytes_out = made.bytes();
    stats.threads = stats_.threads;
    stats.isa = stats_.isa;
    made.describe(name, plan.dtype, stats);
    tensor = nb::cast(std::move(made));
  }
  return tensor;
}

std::vector<ResultRow> BatchResult::rows() {
  if (made_ != nullptr) {
    return result_rows(index_, *made_);
  }
  std::vector<ResultRow> rows;
  for (const auto [name, layer] : index_) {
    ResultRow row = row_of(nb::cast<const QuantizedTensor&>(tensor(name)));
    row.name = utf8_of(name);
    rows.push_back(std::move(row));
  }
  return rows;
}

int BatchResult::traverse(visitproc visit, void* argument) const noexcept {
  for (const nb::handle held : {nb::handle(index_), nb::handle(errors_)}) {
    if (const int stop = visit(held.ptr(), argument)) return stop;
  }
  for (const nb::object& tensor : tensors_) {
    if (!tensor.is_valid()) continue;
    if (const int stop = visit(tensor.ptr(), argument)) return stop;
  }
  return 0;
}

std::uint64_t BatchResult::bytes() const {
  std::uint64_t bytes = 0;
  for (const auto [name, layer] : index_) {
    const nb::object& tensor = tensors_[nb::cast<std::size_t>(layer)];
    bytes += tensor.is_valid() ? nb::cast<const QuantizedTensor&>(tensor).bytes()
                               : stored_bytes(made_->plan.layers[nb::cast<std::size_t>(layer)]);
  }
  return bytes;
}

}  // namespace quarrow::python

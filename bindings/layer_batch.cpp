// SPDX-License-Identifier: Apache-2.0
#include "layer_batch.h"

#include <algorithm>
#include <utility>

#include "batch_progress.h"
#include "call_context.h"
#include "errors.h"
#include "metrics.h"

namespace nb = nanobind;

namespace quarrow::python {
LayerBatch::LayerBatch(ErrorPolicy on_error) : on_error_(on_error) {
  // nanobind makes a dict of nothing where there is no memory for one.
  if (!index_.is_valid() || !errors_.is_valid()) {
    throw nb::python_error();
  }
}

void LayerBatch::reserve(std::size_t layers) {
  names_.reserve(layers);
  inputs_.reserve(layers);
  positions_.reserve(layers);
  views_.reserve(layers);
  shapes_.reserve(layers);
  plan_.layers.reserve(layers);
}

bool LayerBatch::is_small() const noexcept { return plan_.input_bytes < kSmallCallBytes; }

bool LayerBatch::add(nb::handle name, const Format& format, FunctionRef<LayerView()> read) {
  if (!PyUnicode_Check(name.ptr())) {
    raise_invalid_input("the name of a layer must be a str, not " + short_repr(name));
  }
  index_[name] = positions_.size();
  if (index_.size() == names_.size()) {
    raise_invalid_input("an earlier layer has this name too; names must differ", name);
  }
  names_.push_back(nb::borrow(name));
  try {
    plan(name, format, read());
  } catch (const nb::python_error& error) {
    // Others are not the layer's own: Ctrl-C, for one.
    if (!is_quarrow_error(error)) {
      throw;
    }
    if (on_error_ == ErrorPolicy::kRaise) {
      ending_ = std::current_exception();
      return false;
    }
    fail(names_.size() - 1, error);
  }
  return true;
}

bool LayerBatch::add(nb::handle name, nb::handle array, const Format& format, bool copy) {
  return add(name, format, [&] {
    InputArray& input = inputs_.emplace_back(array, name, copy);
    bytes_copied_ += input.bytes_copied();
    return LayerView{input.view(), input.take_shape()};
  });
}

void LayerBatch::plan(nb::handle name, const Format& format, LayerView layer) {
  try {
    add_layer(plan_, {layer.view, format, name_argument(name)});
  } catch (const StatusError& error) {
    raise_status(error.status(), {.name = name, .shape = layer.shape});
  }
  views_.push_back(layer.view);
  shapes_.push_back(std::move(layer.shape));
  positions_.push_back(names_.size() - 1);
}

QuantizedLayers LayerBatch::run(NonFinitePolicy policy, nb::handle threads, nb::handle progress,
                                CallStats& stats, std::uint64_t own_from) {
  const bool small = is_small();
  const Clock::time_point entered = small ? Clock::time_point() : Clock::now();
  BatchProgress reported(progress, names_, positions_);
  CoreCall call(threads, plan_.input_bytes, reported.poll());
  QuantizedLayers made = allocate_layers(std::move(plan_), own_from);
  const Clock::time_point allocated = Clock::now();
  const Status first = call.run([&](const Context& context) {
    return quantize(made, views_, policy, context, reported.layers());
  });
  stats.alloc_seconds = small ? 0 : seconds(entered, allocated);
  stats.core_seconds = seconds(allocated, Clock::now());
  stats.threads = threads_for(made.plan, call.context().threads);
  stats.isa = name_of(call.context().target);
  if (CallRecord* record = CallRecord::current()) {
    record->ran(stats.threads, call.context());
  }
  if (first.code == StatusCode::kCancelled) {
    throw nb::python_error();
  }
  if (on_error_ == ErrorPolicy::kRaise) {
    raise_first_failure(first);
  }
  reported.finish();
  if (!first.ok()) {
    fail_layers(made);
  }
  separate_failures();
  count_bytes(made, stats);
  return made;
}

void LayerBatch::raise_layer(const Status& status) const {
  const std::size_t layer = status.layer;
  raise_status(status, {names_[positions_[layer]], shapes_[layer], views_[layer].cols});
}

void LayerBatch::raise_first_failure(const Status& first) {
  if (!first.ok()) {
    raise_layer(first);
  }
  if (ending_ != nullptr) {
    std::rethrow_exception(std::exchange(ending_, nullptr));
  }
}

void LayerBatch::fail_layers(const QuantizedLayers& made) {
  for (const Status& status : made.statuses) {
    if (status.ok()) {
      continue;
    }
    try {
      raise_layer(status);
    } catch (const nb::python_error& error) {
      fail(positions_[status.layer], error);
    }
  }
}

void LayerBatch::count_bytes(const QuantizedLayers& made, CallStats& stats) const {
  stats.bytes_copied = bytes_copied_;
  for (std::size_t i = 0; i < views_.size(); ++i) {
    if (made.statuses[i].ok()) {
      stats.bytes_in += views_[i].bytes();
      stats.bytes_out += stored_bytes(made.plan.layers[i]);
    }
  }
}

void LayerBatch::fail(std::size_t position, const nb::python_error& error) {
  const nb::object exception = nb::borrow(error.value());
  // The frames that it passed would keep the layer's data alive.
  PyException_SetTraceback(exception.ptr(), Py_None);
  PyException_SetContext(exception.ptr(), nullptr);
  failures_.push_back({position, exception});
}

// Kept in the index until now, so that a name that failed is still taken.
void LayerBatch::separate_failures() {
  std::ranges::sort(failures_, {}, &Failure::position);
  for (const Failure& failure : failures_) {
    const nb::object& name = names_[failure.position];
    errors_[name] = failure.error;
    nb::del(index_[name]);
  }
}

}  // namespace quarrow::python

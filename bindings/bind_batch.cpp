// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <string>

#include "arrow_capsules.h"
#include "batch_result.h"
#include "bindings.h"
#include "call_context.h"
#include "errors.h"
#include "format_argument.h"
#include "garbage_collection.h"
#include "layer_batch.h"
#include "metrics.h"
#include "option_arguments.h"
#include "python_function.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

[[noreturn]] void raise_layers(nb::handle layers) {
  raise_invalid_input("layers must be a mapping of names to arrays, or (name, array) pairs, not " +
                      short_repr(layers.type()) + "; for one array call quarrow.quantize");
}

// Calls take(name, array) for every layer until it returns false. Holds each while it is taken.
template <typename Take>
void for_each_layer(nb::handle layers, Take take) {
  if (PyDict_CheckExact(layers.ptr())) {
    // Lists, since reading an array may run Python code, and that may change the dict.
    const nb::list names = nb::steal<nb::list>(PyDict_Keys(layers.ptr()));
    const nb::list arrays = nb::steal<nb::list>(PyDict_Values(layers.ptr()));
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!take(names[i], arrays[i])) {
        return;
      }
    }
    return;
  }
  if (PyObject_CheckBuffer(layers.ptr()) != 0 || PyUnicode_Check(layers.ptr()) != 0 ||
      nb::hasattr(layers, "__dlpack__")) {
    raise_layers(layers);
  }
  const nb::object pairs = is_mapping(layers) ? layers.attr("items")() : nb::borrow(layers);
  const nb::object iterator = nb::steal(PyObject_GetIter(pairs.ptr()));
  if (!iterator.is_valid()) {
    PyErr_Clear();
    raise_layers(layers);
  }
  for (std::size_t i = 0;; ++i) {
    const nb::object pair = nb::steal(PyIter_Next(iterator.ptr()));
    if (!pair.is_valid()) {
      break;
    }
    if (!(PyTuple_Check(pair.ptr()) || PyList_Check(pair.ptr())) || nb::len(pair) != 2) {
      raise_invalid_input("layers must be (name, array) pairs, and item " + std::to_string(i) +
                          " is " + short_repr(pair));
    }
    if (!take(nb::object(pair[0]), nb::object(pair[1]))) {
      return;
    }
  }
  if (PyErr_Occurred() != nullptr) {
    throw nb::python_error();
  }
}

nb::object quantize_batch(nb::handle layers, nb::handle format, nb::handle rules,
                          nb::handle on_error, nb::handle progress, nb::handle copy,
                          nb::handle nonfinite, nb::handle threads, const nb::kwargs& fields) {
  CallRecord record(EntryPoint::kQuantizeBatch);
  const Clock::time_point entered = Clock::now();
  const Format wanted = format_argument(format, fields);
  const NonFinitePolicy policy = non_finite_argument(nonfinite);
  nb::object chosen = nb::none();
  if (!rules.is_none()) {
    chosen = nb::module_::import_("quarrow.layer_rules").attr("format_chooser")(rules, wanted);
  }
  progress_argument(progress);
  const bool may_copy = copy_argument(copy);
  LayerBatch batch(error_policy_argument(on_error));
  if (PyDict_Check(layers.ptr())) {
    batch.reserve(nb::len(layers));
  }
  for_each_layer(layers, [&](nb::handle name, nb::handle array) {
    if (chosen.is_none()) {
      return batch.add(name, array, wanted, may_copy);
    }
    const nb::object own = chosen(name);
    return own.is_none() || batch.add(name, array, nb::cast<const Format&>(own), may_copy);
  });
  const bool small = batch.is_small();
  const Clock::time_point viewed = small ? entered : Clock::now();

  CallStats stats;
  stats.view_seconds = seconds(entered, viewed);
  const QuantizedLayers made = batch.run(policy, threads, progress, stats);
  nb::object result = nb::cast(BatchResult(batch, made, stats));
  stats.total_seconds = seconds(entered, Clock::now());
  if (!small) {
    stats.export_seconds =
        stats.total_seconds - stats.view_seconds - stats.alloc_seconds - stats.core_seconds;
  }
  nb::inst_ptr<BatchResult>(result)->describe(stats);
  record.add(batch.index().size(), stats.bytes_in);
  record.failed(batch.errors().size());
  record.finish(stats.total_seconds, {}, chosen.is_none() ? wanted.spec : nullptr);
  return result;
}

// A view of the dict, through which nothing can be changed.
nb::object view_of(const BatchResult& self, const char* kind) {
  return self.tensors().attr(kind)();
}

BatchResult copy(const BatchResult& self) {
  nb::dict copies;
  for (const auto [name, tensor] : self.tensors()) {
    copies[name] = nb::cast<const QuantizedTensor&>(tensor).copy();
  }
  return {copies, self.errors()};
}

std::string repr(const BatchResult& self) {
  std::string text = "BatchResult(" + std::to_string(self.size()) +
                     (self.size() == 1 ? " layer" : " layers") +
                     ", nbytes=" + std::to_string(self.bytes());
  if (const std::size_t errors = self.errors().size(); errors != 0) {
    text += ", " + std::to_string(errors) + (errors == 1 ? " error" : " errors");
  }
  return text + ")";
}

constexpr const char* kQuantizeBatchDoc = R"(Quantize many tensors in one call.

The boundary is crossed once, whatever the number of layers, and the threads share the work of all
of them. Each result has the same bytes as ``quantize`` gives for that layer.

Parameters
----------
layers : mapping of str to array, or iterable of (str, array)
    Arrays as ``quantize`` takes them. They are held until the call returns; changing the mapping
    meanwhile has no effect.
format : str or Format
    How to quantize; its fields (``group_size``...) are keywords too.
rules : dict of pattern to format or None, iterable of such pairs, or callable, optional
    The format of single layers. The first pattern found in a name (``re.search``) gives its format;
    None leaves the layer out, and a layer that no pattern finds takes ``format``. A callable is
    called as ``rules(name)`` and returns a format or None.
on_error : "raise" or "skip"
    What to do with a layer that cannot be quantized: raise what ``quantize`` would (of the first in
    the order of the input), or go on and keep the exception in ``errors``.
progress : callable, optional
    Called as ``progress(done, total, name)`` on this thread for each layer that is finished; done
    and total count layers. An exception in it stops the call.
copy, nonfinite, threads
    As in ``quantize``.

Returns
-------
BatchResult
    A mapping of the names to QuantizedTensors, in the order of the input.

Raises
------
UnsupportedFormatError
    A format or one of its fields is unknown, in ``rules`` too.
NonFiniteError
    A layer has NaN or Inf; ``name`` says which.
InvalidInputError
    A layer cannot be read, a name is no str or is there twice, or another argument cannot be used.

Examples
--------
>>> import numpy as np, quarrow as qr
>>> layers = {"up": np.ones((4, 256), np.float32), "down": np.ones((256, 4), np.float16)}
>>> r = qr.quantize_batch(layers, "int4", rules={"down": "int8"})
>>> for name, q in r.items():
...     print(name, q.format.name, q.codes.shape)
up int4 (4, 128)
down int8 (256, 4)
)";

constexpr const char* kResultDoc =
    R"(The quantized layers of a batch: a mapping of names to QuantizedTensors.

``quantize_batch`` makes them. Small layers share memory: a tensor, or an array of one, that is
kept keeps up to 32 MB of its neighbours; ``.copy()`` detaches it. Layers that failed are not in the
mapping but in ``errors``.

Parameters
----------
tensors : dict of str to QuantizedTensor
    The layers.
errors : dict of str to QuarrowError
    Those that failed.
)";

}  // namespace

void bind_batch(nb::module_& m) {
  using Self = BatchResult;
  nb::class_<Self> cls(m, "BatchResult", kResultDoc, nb::is_final(),
                       nb::type_slots(kCollected<Self>));
  cls.def(
         "__init__",
         [](Self* self, nb::handle tensors, nb::handle errors) {
           new (self) Self(tensors, errors);
         },
         "tensors"_a.none(), "errors"_a.none() = nb::dict(),
         nb::sig("def __init__(self, tensors: dict[str, QuantizedTensor], errors: dict[str, "
                 "quarrow.exceptions.QuarrowError] = {}) -> None"))
      .def("__getitem__", &Self::tensor, "name"_a.none(), nb::lock_self(),
           nb::sig("def __getitem__(self, name: str, /) -> QuantizedTensor"))
      .def(
          "get",
          [](Self& self, nb::handle name, nb::handle otherwise) {
            return self.contains(name) ? self.tensor(name) : nb::borrow(otherwise);
          },
          "name"_a.none(), "default"_a = nb::none(), nb::lock_self(),
          nb::sig("def get(self, name: str, default: typing.Any = None) -> typing.Any"),
          "The tensor of that name, or ``default``.")
      .def("__contains__", &Self::contains, "name"_a.none(),
           nb::sig("def __contains__(self, name: object, /) -> bool"))
      .def("__len__", &Self::size)
      .def(
          "__iter__", [](const Self& self) { return nb::iter(self.tensors()); },
          nb::sig("def __iter__(self) -> collections.abc.Iterator[str]"))
      .def(
          "keys", [](const Self& self) { return view_of(self, "keys"); },
          nb::sig("def keys(self) -> collections.abc.KeysView[str]"), "The names, in order.")
      .def(
          "values", [](const Self& self) { return view_of(self, "values"); },
          nb::sig("def values(self) -> collections.abc.ValuesView[QuantizedTensor]"),
          "The tensors, in order.")
      .def(
          "items", [](const Self& self) { return view_of(self, "items"); },
          nb::sig("def items(self) -> collections.abc.ItemsView[str, QuantizedTensor]"),
          "Names and tensors, in order.")
      .def_prop_ro("errors", &Self::errors,
                   nb::sig("def errors(self) -> dict[str, quarrow.exceptions.QuarrowError]"),
                   "Of the layers that failed, by name.")
      .def_prop_ro(
          "stats", [](const Self& self) { return call_stats(self.stats()); },
          nb::sig("def stats(self) -> quarrow.descriptions.CallStats"),
          "What the whole call did, and how long each part took.")
      .def_prop_ro("nbytes", &Self::bytes, nb::lock_self(),
                   "Of codes, scales and zero points of all layers.")
      .def("copy", &copy, nb::lock_self(), "The same layers, each in memory of its own.")
      .def(
          "save",
          [](nb::handle_t<Self> self, nb::handle path, nb::handle container, nb::handle metadata,
             nb::handle sync) {
            return nb::module_::import_("quarrow.saving")
                .attr("save")(self, path, container, "metadata"_a = metadata, "sync"_a = sync);
          },
          "path"_a.none(), "container"_a = nb::none(), nb::kw_only(), "metadata"_a = nb::none(),
          "sync"_a.none() = true,
          nb::sig("def save(self, path: str | os.PathLike[str], container: str | None = None, *, "
                  "metadata: collections.abc.Mapping[str, str] | None = None, sync: bool = True) "
                  "-> quarrow.file_report.FileReport"),
          "Write the layers as a checkpoint: see ``quarrow.save``.")
      .def("__copy__", &copy, nb::lock_self())
      .def(
          "__deepcopy__", [](Self& self, nb::handle) { return copy(self); }, "memo"_a,
          nb::lock_self(), nb::sig("def __deepcopy__(self, memo: object) -> BatchResult"))
      .def(
          "__eq__",
          [](Self& self, nb::handle other) -> nb::object {
            Self* result = nullptr;
            if (nb::try_cast(other, result, false) && result != nullptr) {
              return nb::bool_(self.tensors().equal(result->tensors()) &&
                               self.errors().equal(result->errors()));
            }
            if (!is_mapping(other)) {
              return nb::borrow(Py_NotImplemented);
            }
            return nb::bool_(
                self.tensors().equal(nb::module_::import_("builtins").attr("dict")(other)));
          },
          nb::arg("other").none().lock(), nb::lock_self(),
          nb::sig("def __eq__(self, other: object, /) -> bool"),
          "The same tensors under the same names, and between results the same errors.")
      .def(
          "__hash__",
          [](const Self&) -> Py_hash_t { throw nb::type_error("unhashable type: 'BatchResult'"); },
          "Raises TypeError: the arrays can be written.")
      .def(
          "__reduce__",
          [](nb::handle_t<Self> self) {
            const auto& result = nb::cast<const Self&>(self);
            return nb::make_tuple(
                self.type(),
                nb::make_tuple(nb::steal(PyDict_Copy(result.tensors().ptr())), result.errors()));
          },
          nb::lock_self(), nb::sig("def __reduce__(self) -> tuple[typing.Any, ...]"))
      .def(
          "__arrow_c_schema__", [](const Self&) { return schema_capsule(); },
          nb::sig("def __arrow_c_schema__(self) -> object"))
      .def(
          "__arrow_c_stream__",
          [](Self& self, nb::handle) { return stream_capsule(ArrowRows(self.rows()).rows()); },
          "requested_schema"_a = nb::none(), nb::lock_self(),
          nb::sig("def __arrow_c_stream__(self, requested_schema: object = None) -> object"),
          "The layers as Arrow record batches, in the memory that they lie in.")
      .def("__repr__", &repr, nb::lock_self());
  refuse_other_arguments(cls);
  nb::module_::import_("collections.abc").attr("Mapping").attr("register")(cls);
  static const std::string signature =
      "def quantize_batch(layers: collections.abc.Mapping[str, typing.Any] | "
      "collections.abc.Iterable[tuple[str, typing.Any]], format: str | Format, *, rules: "
      "collections.abc.Mapping[typing.Any, str | Format | None] | "
      "collections.abc.Iterable[tuple[typing.Any, str | Format | None]] | "
      "collections.abc.Callable[[str], str | Format | None] | None = None, on_error: str "
      "= 'raise', progress: collections.abc.Callable[[int, int, str], object] | None = "
      "None, copy: bool = False, nonfinite: str = 'raise', threads: int | None = None, " +
      field_parameters() + ") -> BatchResult";
  m.def("quantize_batch", &quantize_batch, "layers"_a.none(), "format"_a.none(), nb::kw_only(),
        "rules"_a = nb::none(), "on_error"_a.none() = "raise", "progress"_a = nb::none(),
        "copy"_a.none() = false, "nonfinite"_a.none() = "raise", "threads"_a = nb::none(),
        "fields"_a, nb::sig(signature.c_str()), kQuantizeBatchDoc);
}

}  // namespace quarrow::python

// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <span>

#include "arrow_capsules.h"
#include "bindings.h"
#include "call_context.h"
#include "dequantize.h"
#include "errors.h"
#include "format_argument.h"
#include "garbage_collection.h"
#include "input_array.h"
#include "open_checkpoint.h"
#include "parts_argument.h"
#include "python_attribute.h"
#include "python_function.h"
#include "quantized_tensor.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

std::vector<std::int64_t> shape_argument(nb::handle shape) {
  std::vector<std::int64_t> result;
  if (nb::isinstance<nb::tuple>(shape) || nb::isinstance<nb::list>(shape)) {
    for (const nb::handle dimension : shape) {
      std::int64_t value = -1;
      if (PyBool_Check(dimension.ptr()) || !nb::try_cast(dimension, value, false) || value < 0) {
        result.clear();
        break;
      }
      result.push_back(value);
    }
  }
  if (result.empty()) {
    raise_invalid_input("shape must be a tuple of at least one whole number from 0, not " +
                        short_repr(shape));
  }
  return result;
}

QuantizedTensor from_arrays(const PerRole<nb::handle>& arrays, nb::handle format, nb::handle shape,
                            nb::handle dtype, nb::handle name) {
  static_cast<void>(name_argument(name));
  std::vector<std::int64_t> dimensions = shape_argument(shape);
  const Plan plan =
      plan_of_shape(format_argument(format), dtype_argument(dtype, "dtype"), dimensions, name);
  return {plan.layers[0], std::move(dimensions), name, arrays, false};
}

// In the format's order.
nb::dict parts_of(QuantizedTensor& self) {
  nb::dict parts;
  for (const PartSpec& part : self.layer().encoding.parts()) {
    parts[text_object(name_of(part.role))] = self.array(part.role);
  }
  return parts;
}

// Name, dtype and shape of the arrays of a format.
nb::list format_parts(nb::handle format, nb::handle shape) {
  const Plan plan =
      plan_of_shape(format_argument(format), DType::kF32, shape_argument(shape), nb::none());
  nb::list parts;
  for (const PartSpec& part : plan.layers[0].encoding.parts()) {
    nb::list sizes;
    for (const std::int64_t size : array_shape(part).span()) sizes.append(size);
    parts.append(nb::make_tuple(text_object(name_of(part.role)),
                                text_object(name_of(part_type(plan.layers[0], part))),
                                nb::tuple(sizes)));
  }
  return parts;
}

nb::dict part_dtypes_of(const QuantizedTensor& self) {
  nb::dict dtypes;
  for (const PartSpec& part : self.layer().encoding.parts()) {
    dtypes[text_object(name_of(part.role))] = text_object(name_of(part_type(self.layer(), part)));
  }
  return dtypes;
}

nb::object error(const QuantizedTensor& self, nb::handle w, nb::handle threads) {
  const nb::object name = nb::borrow(self.name());
  const InputArray original(w, name, false);
  if (original.shape() != self.shape()) {
    raise_invalid_input("the original must have the shape " + shape_text(self.shape()) + ", not " +
                            shape_text(original.shape()),
                        name);
  }
  Plan plan = plan_of_shape(self.layer().format, original.view().dtype, self.shape(), name);
  cut_tiles(plan);
  const QuantizedView stored = self.stored();
  ErrorSums sums;
  CoreCall call(threads, plan.input_bytes);
  const Status status = call.run([&](const Context& context) {
    return measure_error(plan, {&original.view(), 1}, {&stored, 1}, {&sums, 1}, context);
  });
  if (!status.ok()) {
    raise_status(status, {name, self.shape(), self.layer().cols});
  }
  return error_stats(sums);
}

// Instances that are kept when they go, about 400 bytes each: those of a batch of most adapters.
constexpr std::uint32_t kPooled = 1024;

// See read_directly().
template <Role kRole>
PyObject* read_part(PyObject* self) noexcept {
  nb::object array;
  const bool made = kept_as_python_error([&] {
    const nb::ft_object_guard guard(self);
    array = nb::inst_ptr<QuantizedTensor>(self)->array(kRole);
  });
  return made ? array.release().ptr() : nullptr;
}

template <Role kRole>
nb::object part(QuantizedTensor& self) {
  return self.array(kRole);
}

nb::tuple shape_tuple(const QuantizedTensor& self) {
  nb::list dimensions;
  for (const std::int64_t dimension : self.shape()) {
    dimensions.append(dimension);
  }
  return nb::tuple(dimensions);
}

std::string repr(const QuantizedTensor& self) {
  std::string text = "QuantizedTensor(";
  if (!self.name().is_none()) {
    text += std::string(nb::repr(self.name()).c_str()) + ", ";
  }
  return text + "shape=" + shape_text(self.shape()) + ", dtype='" +
         std::string(name_of(self.layer().dtype)) +
         "', format=" + format_repr(self.layer().format) +
         ", nbytes=" + std::to_string(self.bytes()) + ")";
}

constexpr const char* kClassDoc =
    R"(A quantized tensor: codes, scales, zero points, and what they mean.

``quantize`` makes them. Build one from arrays of your own to dequantize it, or to pass it as
``out=``; the arrays are held, not copied (scales of float16 are).

Parameters
----------
codes : numpy.ndarray
    uint8 (int8 for signed 8-bit codes, ml_dtypes' float8 or uint8 for floats), [rows, bytes of a
    row], C-contiguous. rows is shape[0]; a 1-D tensor is one row.
scales : numpy.ndarray or None
    float32, or float16 where the format says so, [rows, groups]; [1, 1] for one scale per tensor.
    None when the format has none.
zero_points : numpy.ndarray or None
    uint8, of the shape of the scales; None when the format has none.
format : Format
    How the codes are to be read.
shape : tuple of int
    Of the tensor; up to 64 dimensions.
dtype : str, optional
    Of the tensor that was quantized.
name : str, optional
    Of the layer, for messages.
tensor_scale : numpy.ndarray, optional
    float32, 0-d: the scale of the tensor, of formats that have one.
channel_scales, codebook : numpy.ndarray, optional
    [rows], and the values that codes stand for: of formats that have them.

Raises
------
InvalidInputError
    An array has another dtype or shape, or is not contiguous or not aligned; or the shape has more
    than 64 dimensions.

Examples
--------
>>> import numpy as np, quarrow as qr
>>> q = qr.quantize(np.ones((2, 4), np.float32), "int8")
>>> qr.QuantizedTensor(q.codes, q.scales, q.zero_points, q.format, q.shape) == q
True
)";

constexpr const char* kDequantizeDoc = R"(The values that the codes stand for.

Parameters
----------
dtype : "float32", "float16" or "bfloat16"
    Of the result. numpy has bfloat16 with ml_dtypes alone: without, pass ``like``, or as ``out`` an
    array of uint16 for the bits.
out : numpy.ndarray, optional
    Written and returned: C-contiguous, of this dtype and of ``shape``.
like : array, optional
    Instead of both: a numpy array, or a tensor of torch, jax or another library of the array API.
    The result is of its kind and dtype (float64: the float32 values), a tensor of torch on its
    device.
threads : int, optional
    At most so many threads.

Returns
-------
numpy.ndarray or tensor
    (code - zero point) * scale in float32, rounded to nearest even.

Raises
------
InvalidInputError
    The dtype, ``out`` or ``like`` cannot be used.

Examples
--------
>>> import numpy as np, quarrow as qr
>>> qr.quantize(np.array([0.0, 1.0, 15.0], np.float32), "int4").dequantize()
array([ 0.,  1., 15.], dtype=float32)
)";

constexpr const char* kErrorDoc = R"(How far the stored values are from ``w``.

Parameters
----------
w : array
    The original, of this shape. Its NaN and Inf are left out.
threads : int, optional
    At most so many threads; the figures do not depend on it.

Returns
-------
ErrorStats
    ``max_abs``, ``rmse``, ``sqnr_db`` (inf without error), ``cosine``.
)";

}  // namespace

void bind_quantized_tensor(nb::module_& m) {
  using Self = QuantizedTensor;
  nb::class_<Self> cls(m, "QuantizedTensor", kClassDoc, nb::is_final(),
                       nb::type_slots(kCollected<Self>), nb::pooled(kPooled));
  cls.def(
         "__init__",
         [](Self* self, nb::handle codes, nb::handle scales, nb::handle zero_points,
            nb::handle format, nb::handle shape, nb::handle dtype, nb::handle name,
            nb::handle tensor_scale, nb::handle channel_scales, nb::handle codebook) {
           new (self) Self(
               from_arrays({{codes, scales, zero_points, tensor_scale, channel_scales, codebook}},
                           format, shape, dtype, name));
         },
         "codes"_a.none(), "scales"_a.none(), "zero_points"_a.none(), "format"_a.none(),
         "shape"_a.none(), "dtype"_a.none() = "float32", "name"_a = nb::none(), nb::kw_only(),
         "tensor_scale"_a = nb::none(), "channel_scales"_a = nb::none(), "codebook"_a = nb::none(),
         nb::sig("def __init__(self, codes: numpy.typing.NDArray[typing.Any], scales: "
                 "numpy.typing.NDArray[typing.Any] | None, zero_points: "
                 "numpy.typing.NDArray[numpy.uint8] | None, format: str | Format, shape: "
                 "collections.abc.Sequence[int], dtype: str = 'float32', name: str | None = None, "
                 "*, tensor_scale: numpy.typing.NDArray[numpy.float32] | None = None, "
                 "channel_scales: numpy.typing.NDArray[numpy.float32] | None = None, "
                 "codebook: numpy.typing.NDArray[numpy.float32] | None = None) -> None"))
      .def_prop_ro("parts", &parts_of, nb::lock_self(),
                   nb::sig("def parts(self) -> dict[str, numpy.typing.NDArray[typing.Any]]"),
                   "The arrays that the format has, as stored, by name and in its order.")
      .def_prop_ro("part_dtypes", &part_dtypes_of, nb::lock_self(),
                   nb::sig("def part_dtypes(self) -> dict[str, str]"),
                   "What their elements are, as safetensors spells it: without ml_dtypes arrays "
                   "of 'F8_E4M3' are uint8.")
      .def_prop_ro("codes", &part<Role::kCodes>, nb::lock_self(),
                   nb::sig("def codes(self) -> numpy.typing.NDArray[typing.Any]"),
                   "uint8 (int8 for signed 8-bit codes; floats are ml_dtypes', without it "
                   "uint8), [rows, bytes of a row].")
      .def_prop_ro("scales", &part<Role::kScales>, nb::lock_self(),
                   // Not "| None": whoever knows the format need not ask whether it has scales.
                   nb::sig("def scales(self) -> numpy.typing.NDArray[typing.Any] | typing.Any"),
                   "float32 or float16, [rows, groups]. bfloat16 scales are float32; float16 "
                   "scales are a read-only copy. None when the format has none.")
      .def_prop_ro("zero_points", &part<Role::kZeroPoints>, nb::lock_self(),
                   nb::sig("def zero_points(self) -> numpy.typing.NDArray[numpy.uint8] | None"),
                   "uint8, of the shape of the scales; None when the format has none.")
      .def_prop_ro("tensor_scale", &part<Role::kTensorScale>, nb::lock_self(),
                   nb::sig("def tensor_scale(self) -> numpy.typing.NDArray[numpy.float32] | None"),
                   "float32, 0-d: the scale of the tensor; None when the format has none.")
      .def_prop_ro(
          "channel_scales", &part<Role::kChannelScales>, nb::lock_self(),
          nb::sig("def channel_scales(self) -> numpy.typing.NDArray[numpy.float32] | None"),
          "float32, [rows], beside the scales of groups; None when the format has none.")
      .def_prop_ro("codebook", &part<Role::kCodebook>, nb::lock_self(),
                   nb::sig("def codebook(self) -> numpy.typing.NDArray[numpy.float32] | None"),
                   "The values that codes stand for; None when the format has none.")
      .def_prop_ro(
          "format", [](const Self& self) { return self.layer().format; },
          "How the codes are to be read.")
      .def_prop_ro("shape", &shape_tuple, nb::sig("def shape(self) -> tuple[int, ...]"),
                   "Of the tensor that was quantized.")
      .def_prop_ro(
          "dtype", [](const Self& self) { return numpy_dtype(self.layer().dtype); },
          nb::sig("def dtype(self) -> numpy.dtype[typing.Any]"),
          "Of the tensor that was quantized; bfloat16 is uint16 without ml_dtypes.")
      .def_prop_ro(
          "dtype_name", [](const Self& self) { return name_of(self.layer().dtype); },
          "The same by name: 'bfloat16'.")
      .def_prop_ro("nbytes", &Self::bytes, "Of its parts together.")
      .def_prop_ro(
          "name", [](const Self& self) { return nb::borrow(self.name()); }, nb::lock_self(),
          nb::sig("def name(self) -> str | None"), "The layer's name, if it has one.")
      .def_prop_ro(
          "stats", [](const Self& self) { return call_stats(self.stats()); }, nb::lock_self(),
          nb::sig("def stats(self) -> quarrow.descriptions.CallStats"),
          "What the call that made it did, and how long each part took. Of a layer of a "
          "batch the bytes alone: the time was the whole call's.")
      .def("dequantize", &dequantize, "dtype"_a.none() = "float32", "out"_a = nb::none(),
           nb::kw_only(), "like"_a = nb::none(), "threads"_a = nb::none(),
           nb::sig("def dequantize(self, dtype: str = 'float32', out: "
                   "numpy.typing.NDArray[typing.Any] | None = None, *, like: typing.Any = None, "
                   "threads: int | None = None) -> typing.Any"),
           kDequantizeDoc)
      .def("error", &error, "w"_a.none(), nb::kw_only(), "threads"_a = nb::none(),
           nb::sig("def error(self, w: object, *, threads: int | None = None) -> "
                   "quarrow.descriptions.ErrorStats"),
           kErrorDoc)
      .def("copy", &Self::copy, nb::lock_self(), "The same values in memory of their own.")
      .def("__copy__", &Self::copy, nb::lock_self())
      .def(
          "__deepcopy__", [](const Self& self, nb::handle) { return self.copy(); }, "memo"_a,
          nb::lock_self(), nb::sig("def __deepcopy__(self, memo: object) -> QuantizedTensor"))
      .def(
          "__eq__",
          [](const Self& self, nb::handle other) -> nb::object {
            Self* tensor = nullptr;
            if (!nb::try_cast(other, tensor, false) || tensor == nullptr) {
              return nb::borrow(Py_NotImplemented);
            }
            return nb::bool_(self.same_values(*tensor));
          },
          nb::arg("other").none(), nb::sig("def __eq__(self, other: object, /) -> bool"),
          "Same format, shape, dtype and bytes; names and stats do not count.")
      .def(
          "__hash__",
          [](const Self&) -> Py_hash_t {
            throw nb::type_error("unhashable type: 'QuantizedTensor'");
          },
          "Raises TypeError: the arrays can be written.")
      .def(
          "__reduce__",
          [](nb::handle_t<Self> self) {
            return nb::make_tuple(
                nb::module_::import_("quarrow._core").attr("tensor_of_parts"),
                nb::make_tuple(self.attr("parts"), self.attr("format"), self.attr("shape"),
                               self.attr("dtype_name"), self.attr("name")));
          },
          nb::sig("def __reduce__(self) -> tuple[typing.Any, ...]"))
      .def(
          "__arrow_c_schema__", [](const Self&) { return schema_capsule(); },
          nb::sig("def __arrow_c_schema__(self) -> object"))
      .def(
          "__arrow_c_array__",
          [](const Self& self, nb::handle) {
            std::vector<ResultRow> rows;
            rows.push_back(row_of(self));
            return array_capsules(ArrowRows(std::move(rows)).rows());
          },
          "requested_schema"_a = nb::none(), nb::lock_self(),
          nb::sig("def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, "
                  "object]"),
          "An Arrow record batch of one row, in the memory that the tensor lies in.")
      .def("__repr__", &repr, nb::lock_self());
  refuse_other_arguments(cls);
  // Memory for the pool is asked for when the first instance goes, and nanobind ends the process
  // where there is none: so here.
  nb::inst_alloc(cls).reset();
  // A call of a function, three times a layer, would be a third of what a layer of a batch costs.
  read_directly(cls, "codes", &read_part<Role::kCodes>);
  read_directly(cls, "scales", &read_part<Role::kScales>);
  read_directly(cls, "zero_points", &read_part<Role::kZeroPoints>);
  read_directly(cls, "tensor_scale", &read_part<Role::kTensorScale>);
  m.def("format_parts", &format_parts, "format"_a.none(), "shape"_a.none(),
        nb::sig("def format_parts(format: str | Format, shape: collections.abc.Sequence[int]) -> "
                "list[tuple[str, str, tuple[int, ...]]]"),
        "Name, dtype and shape of each array that the format makes of a tensor of that shape.");
  m.def(
      "tensor_of_parts",
      [](nb::handle parts, nb::handle format, nb::handle shape, nb::handle dtype, nb::handle name) {
        return from_arrays(parts_argument(parts).handles(), format, shape, dtype, name);
      },
      "parts"_a.none(), "format"_a.none(), "shape"_a.none(), "dtype"_a.none() = "float32",
      "name"_a = nb::none(),
      nb::sig("def tensor_of_parts(parts: collections.abc.Mapping[str, "
              "numpy.typing.NDArray[typing.Any]], format: str | Format, shape: "
              "collections.abc.Sequence[int], dtype: str = 'float32', name: str | None = None) -> "
              "QuantizedTensor"),
      "A QuantizedTensor over ``QuantizedTensor.parts``, as pickles hold them.");
}

}  // namespace quarrow::python

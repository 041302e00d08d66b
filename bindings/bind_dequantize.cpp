// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>

#include "bindings.h"
#include "dequantize.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

constexpr const char* kDequantizeBatchDoc = R"(The values of many quantized tensors, in one call.

The threads share the work of all of them; each has the values that ``dequantize`` gives.

Parameters
----------
tensors : mapping of str to QuantizedTensor
    A ``BatchResult``, or any other.
dtype : "float32", "float16" or "bfloat16"
    Of the results, as in ``dequantize``.
out : mapping of str to numpy.ndarray, optional
    Written and returned: for each name an array as ``dequantize`` takes it.
like : array, optional
    Instead of dtype: an array or tensor whose kind and dtype the results have, as in
    ``dequantize``.
threads : int, optional
    At most so many threads.

Returns
-------
dict of str to array
    In the order of the mapping.

Raises
------
InvalidInputError
    A value is no QuantizedTensor, or an argument cannot be used.

Examples
--------
>>> import numpy as np, quarrow as qr
>>> r = qr.quantize_batch({"a": np.ones((4, 256), "f"), "b": np.zeros(8, "f")}, "int8")
>>> {name: values.shape for name, values in qr.dequantize_batch(r, "float16").items()}
{'a': (4, 256), 'b': (8,)}
)";

}  // namespace

void bind_dequantize(nb::module_& m) {
  m.def(
      "dequantize",
      [](const QuantizedTensor& q, nb::handle dtype, nb::handle out, nb::handle like,
         nb::handle threads) { return dequantize(q, dtype, out, like, threads); },
      "q"_a, "dtype"_a.none() = "float32", "out"_a = nb::none(), nb::kw_only(),
      "like"_a = nb::none(), "threads"_a = nb::none(),
      nb::sig("def dequantize(q: QuantizedTensor, dtype: str = 'float32', out: "
              "numpy.typing.NDArray[typing.Any] | None = None, *, like: typing.Any = None, "
              "threads: int | None = None) -> typing.Any"),
      "The values of ``q``: the same as ``q.dequantize(dtype, out)``.");
  m.def("dequantize_batch", &dequantize_batch, "tensors"_a.none(), "dtype"_a.none() = "float32",
        "out"_a = nb::none(), nb::kw_only(), "like"_a = nb::none(), "threads"_a = nb::none(),
        nb::sig("def dequantize_batch(tensors: BatchResult | collections.abc.Mapping[str, "
                "QuantizedTensor], dtype: str = 'float32', out: collections.abc.Mapping[str, "
                "numpy.typing.NDArray[typing.Any]] | None = None, *, like: typing.Any = None, "
                "threads: int | None = None) -> dict[str, typing.Any]"),
        kDequantizeBatchDoc);
}

}  // namespace quarrow::python

// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include <optional>
#include <string>
#include <string_view>

#include "bindings.h"
#include "call_context.h"
#include "errors.h"
#include "format_argument.h"
#include "input_array.h"
#include "metrics.h"
#include "new_instance.h"
#include "option_arguments.h"
#include "parts_argument.h"
#include "quantized_tensor.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

Plan plan_of(const InputArray& input, const Format& format, std::string_view name,
             nb::handle name_object) {
  try {
    const LayerRequest request{input.view(), format, name};
    return plan_layers({&request, 1});
  } catch (const StatusError& error) {
    raise_status(error.status(), {.name = name_object, .shape = input.shape()});
  }
}

void check_overlap(const InputArray& input, const QuantizedTensor& out, nb::handle name) {
  for (const std::span<const std::byte> part : out.memory()) {
    if (input.overlaps(part.data(), part.size())) {
      raise_invalid_input("out must not overlap the input", name);
    }
  }
}

// The tensor to write to, as a Python object: a new one, the one passed as out=, or a new one over
// the arrays passed as out=. A new one takes the input's shape.
nb::object output_of(nb::handle out, const LayerPlan& layer, InputArray& input, nb::handle name) {
  if (out.is_none()) {
    return new_instance<QuantizedTensor>(nb::type<QuantizedTensor>(), layer, input.take_shape(),
                                         name);
  }
  nb::object result;
  QuantizedTensor* tensor = nullptr;
  if (nb::try_cast(out, tensor, false) && tensor != nullptr) {
    if (!(tensor->layer().format == layer.format) || tensor->shape() != input.shape()) {
      raise_invalid_input("out must have the format " + format_repr(layer.format) +
                              " and the shape " + shape_text(input.shape()) + ", not " +
                              format_repr(tensor->layer().format) + " and " +
                              shape_text(tensor->shape()),
                          name);
    }
    if (!tensor->writable()) {
      raise_invalid_input("out must be writable, and it holds a read-only array", name);
    }
    result = nb::borrow(out);
  } else {
    const GivenParts given = parts_argument(
        out, layer.encoding, "out must be a QuantizedTensor or a tuple or mapping of arrays", name);
    result = nb::cast(QuantizedTensor(layer, input.shape(), name, given.handles(), true));
  }
  const auto& written = nb::cast<const QuantizedTensor&>(result);
  if (written.parts_overlap()) {
    raise_invalid_input("the arrays of out must not overlap each other", name);
  }
  check_overlap(input, written, name);
  return result;
}

nb::object quantize_one(nb::handle w, nb::handle format, nb::handle name, nb::handle out,
                        nb::handle copy, nb::handle nonfinite, nb::handle threads,
                        const nb::kwargs& fields) {
  CallRecord record(EntryPoint::kQuantize);
  const Clock::time_point entered = Clock::now();
  const Format wanted = format_argument(format, fields);
  const NonFinitePolicy policy = non_finite_argument(nonfinite);
  const std::string_view name_text = name_argument(name);
  InputArray input(w, name, copy_argument(copy));
  const bool small = input.view().bytes() < kSmallCallBytes;
  const Clock::time_point viewed = small ? entered : Clock::now();

  Plan plan = plan_of(input, wanted, name_text, name);
  CoreCall call(threads, plan.input_bytes);
  nb::object result = output_of(out, plan.layers[0], input, name);
  QuantizedTensor& tensor = nb::cast<QuantizedTensor&>(result);
  const QuantizedSpan span = tensor.span();
  cut_tiles(plan);
  const Clock::time_point allocated = Clock::now();

  Status layer_status;
  const Status status = call.run([&](const Context& context) {
    return quantize(plan, {&input.view(), 1}, {&span, 1}, policy, context, {&layer_status, 1});
  });
  const Clock::time_point done = Clock::now();
  if (!status.ok()) {
    raise_status(status, {name, tensor.shape(), input.view().cols});
  }

  // Other threads may be reading the tensor that was passed as out=.
  const nb::ft_object_guard guard(result);
  const Clock::time_point exported = tensor.written() && !small ? Clock::now() : done;
  CallStats stats;
  stats.bytes_in = input.view().bytes();
  stats.bytes_out = tensor.bytes();
  stats.bytes_copied = input.bytes_copied();
  stats.view_seconds = seconds(entered, viewed);
  stats.alloc_seconds = small ? 0 : seconds(viewed, allocated);
  stats.core_seconds = seconds(allocated, done);
  stats.threads = threads_for(plan, call.context().threads);
  stats.isa = name_of(call.context().target);
  stats.export_seconds = seconds(done, exported);
  stats.total_seconds = seconds(entered, exported);
  tensor.describe(name, input.view().dtype, stats);
  record.add(1, stats.bytes_in);
  record.ran(stats.threads, call.context());
  record.finish(stats.total_seconds, name, wanted.spec);
  return result;
}

constexpr const char* kQuantizeDoc = R"(Quantize one tensor.

The input is read where it lies: numpy arrays (read-only too), torch, jax and mlx tensors on the CPU
(DLPack), array.array and memoryview of floats, ml_dtypes.bfloat16. Rows may be strided; within a
row the values must be contiguous. rows is shape[0], columns the product of the rest; a 1-D tensor
is one row. The lock is released while the engine works.

Parameters
----------
w : array
    float32, float16, bfloat16 or float64; 1 to 64 dimensions.
format : str or Format
    How to quantize; ``quarrow.formats()`` lists the names. The fields of a format
    (``group_size``...) are keywords too; None leaves the format's own value.
name : str, optional
    Of the layer, for messages; stochastic rounding depends on it.
out : QuantizedTensor, tuple or mapping, optional
    Where to write: a QuantizedTensor of this format and shape, which is returned, or its ``parts``:
    writable C-contiguous numpy arrays by name, or a tuple of them in the format's order, such as
    ``(codes, scales, zero_points)``. It must not overlap ``w``. Its contents are unspecified after
    an error.
copy : bool
    Permits a copy of an input that cannot be read in place; ``stats.bytes_copied`` shows it.
nonfinite : "raise" or "saturate"
    What to do with NaN and Inf: raise NonFiniteError, or give Inf the end codes and NaN the code
    of 0. float64 values beyond float32 raise InvalidInputError, or get the end codes.
threads : int, optional
    At most so many threads. The default is QUARROW_NUM_THREADS, or the CPUs that this process may
    use. Results do not depend on it.

Returns
-------
QuantizedTensor

Raises
------
UnsupportedFormatError
    The format's name or one of its fields is unknown.
NonFiniteError
    The input has NaN or Inf.
InvalidInputError
    The input, ``out`` or another argument cannot be used; the message says what to do.

Examples
--------
>>> import numpy as np, quarrow as qr
>>> q = qr.quantize(np.arange(8, dtype=np.float32), "int4", group_size=4)
>>> q.codes
array([[ 80, 250, 185, 253]], dtype=uint8)
>>> q.scales.shape
(1, 2)
)";

}  // namespace

void bind_quantize(nb::module_& m) {
  static const std::string signature =
      "def quantize(w: object, format: str | Format, *, name: str | None = None, "
      "out: QuantizedTensor | tuple[numpy.typing.NDArray[typing.Any] | None, ...] | "
      "collections.abc.Mapping[str, numpy.typing.NDArray[typing.Any]] | None = None, copy: bool = "
      "False, nonfinite: str = 'raise', threads: int | None = None, " +
      field_parameters() + ") -> QuantizedTensor";
  m.def("quantize", &quantize_one, "w"_a.none(), "format"_a.none(), nb::kw_only(),
        "name"_a = nb::none(), "out"_a = nb::none(), "copy"_a.none() = false,
        "nonfinite"_a.none() = "raise", "threads"_a = nb::none(), "fields"_a,
        nb::sig(signature.c_str()), kQuantizeDoc);
  m.def(
      "address_read",
      [](nb::handle w) {
        const InputArray input(w, nb::none(), false);
        return reinterpret_cast<std::uintptr_t>(input.view().data);
      },
      "w"_a.none(), nb::sig("def address_read(w: object) -> int"),
      "Where the engine reads the first element of ``w``.");
}

}  // namespace quarrow::python

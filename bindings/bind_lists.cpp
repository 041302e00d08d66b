// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "bindings.h"
#include "list_numbers.h"
#include "open_checkpoint.h"
#include "output_memory.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

nb::object list_numbers(nb::handle list, nb::handle dimensions) {
  std::vector<std::size_t> shape;
  std::uint64_t bytes = sizeof(double);
  for (const nb::handle each : dimensions) {
    shape.push_back(nb::cast<std::size_t>(each));
    if (__builtin_mul_overflow(bytes, shape.back(), &bytes)) return nb::none();
  }
  std::shared_ptr<std::byte> memory;
  try {
    memory = allocate_output(bytes);
  } catch (const std::bad_alloc&) {
    // What lists claim whose first ones are long, and the others may not be.
    return nb::none();
  }
  if (!read_numbers(list, shape, reinterpret_cast<double*>(memory.get()))) return nb::none();
  return bytes_array(memory.get(), bytes, memory);
}

}  // namespace

void bind_lists(nb::module_& m) {
  m.def("list_numbers", &list_numbers, "values"_a, "shape"_a,
        nb::sig("def list_numbers(values: object, shape: collections.abc.Sequence[int]) -> "
                "numpy.typing.NDArray[numpy.uint8] | None"),
        "The numbers of nested lists and tuples of float and int as the bytes of doubles; None "
        "where they are not of that shape, or hold anything else.");
}

}  // namespace quarrow::python

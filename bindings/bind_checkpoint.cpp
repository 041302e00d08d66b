// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string_view.h>

#include <string>

#include "bindings.h"
#include "call_context.h"
#include "errors.h"
#include "file_errors.h"
#include "format_argument.h"
#include "interpreter_lock.h"
#include "open_checkpoint.h"
#include "quarrow/containers/atomic_file.h"
#include "quarrow/core/tensor_view.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

// bfloat16 and float8 values over the bytes of an array, which numpy cannot export.
nb::object dlpack_array(const nb::ndarray<std::uint8_t, nb::ndim<1>, nb::c_contig>& bytes,
                        nb::handle owner, std::uint8_t code, std::uint8_t bits,
                        nb::handle dimensions) {
  std::vector<std::size_t> shape;
  for (const nb::handle each : dimensions) shape.push_back(nb::cast<std::size_t>(each));
  // nanobind would end the process.
  if (shape.size() > kMaxDimensions) raise_invalid_input("the shape has too many dimensions");
  return nb::cast(nb::ndarray<nb::array_api>(bytes.data(), shape.size(), shape.data(), owner,
                                             nullptr, nb::dlpack::dtype{code, bits, 1}));
}

nb::object compare(const OpenCheckpoint& self, std::size_t index, const OpenCheckpoint& other,
                   std::size_t other_index) {
  return error_stats(self.compare(index, other, other_index));
}

}  // namespace

void bind_checkpoint(nb::module_& m) {
  nb::class_<OpenCheckpoint>(m, "OpenCheckpoint", "Tensors in files, or in memory.")
      .def(nb::init<const nb::bytes&, std::string_view>(), "path"_a, "io"_a)
      .def(nb::init<nb::handle, const nb::dict&, nb::handle>(), "tensors"_a, "metadata"_a, "read"_a,
           nb::sig("def __init__(self, tensors: collections.abc.Iterable[tuple[str, typing.Any]], "
                   "metadata: dict[str, str], read: collections.abc.Callable[[str, typing.Any], "
                   "tuple[str, tuple[int, ...], typing.Any, int] | None]) -> None"))
      .def_prop_ro(
          "names", [](const OpenCheckpoint& self) { return self.memory().names(); },
          nb::sig("def names(self) -> list[str]"), "Of a program's tensors.")
      .def_prop_ro(
          "values", [](const OpenCheckpoint& self) { return self.memory().values(); },
          nb::sig("def values(self) -> list[typing.Any]"),
          "A program's tensors; release() empties the list.")
      .def("close", &OpenCheckpoint::close, "Let go of the files. What was read stays.")
      .def("release", &OpenCheckpoint::release,
           "Let go of the files, or the arrays, of a job that has ended.")
      .def("find_layers", &OpenCheckpoint::find_layers, "Join the entries of quantized layers.")
      .def("__len__", &OpenCheckpoint::size)
      .def("name", &OpenCheckpoint::name, "index"_a, "Of a tensor, in the order of the file.")
      .def("item", &OpenCheckpoint::item, "index"_a,
           nb::sig("def item(self, index: int) -> tuple[str, str, tuple[int, ...], int, Format | "
                   "None, int]"),
           "Name, dtype, shape, bytes, format and file of a tensor, in the order of the file.")
      .def("read", &OpenCheckpoint::read, "index"_a, "begin"_a, "bytes"_a,
           nb::sig("def read(self, index: int, begin: int, bytes: int) -> "
                   "numpy.typing.NDArray[numpy.uint8]"),
           "A stretch of a tensor's bytes.")
      .def("read_layer", &OpenCheckpoint::read_layer, "index"_a, "A quantized layer.")
      .def("same_bytes", &OpenCheckpoint::same_bytes, "index"_a, "other"_a, "other_index"_a,
           "Whether two plain tensors have one dtype and the same data.")
      .def("compare", &compare, "index"_a, "other"_a, "other_index"_a,
           nb::sig("def compare(self, index: int, other: OpenCheckpoint, other_index: int) -> "
                   "quarrow.descriptions.ErrorStats"),
           "The error of another tensor: float tensors or layers of one shape.")
      .def_prop_ro("metadata", &OpenCheckpoint::metadata,
                   nb::sig("def metadata(self) -> dict[str, typing.Any]"),
                   "Of all files; in GGUF not all are texts.")
      .def_prop_ro("paths", &OpenCheckpoint::paths, nb::sig("def paths(self) -> list[bytes]"),
                   "Of the files that hold tensors.")
      .def_prop_ro("file_bytes", &OpenCheckpoint::file_bytes, "Of all files.");
  m.def(
      "write_file",
      [](const nb::bytes& path, const nb::bytes& data) {
        const std::string destination(path.c_str(), path.size());
        SignalPoll poll;
        with_file_errors([&] {
          const UnlockedScope unlocked;
          AtomicFile file(destination, {}, &poll);
          file.file().write_at(data.c_str(), data.size(), 0);
          file.finish(/*sync=*/true);
          file.publish(/*sync=*/true);
        });
      },
      "path"_a, "data"_a, nb::sig("def write_file(path: bytes, data: bytes) -> None"),
      "Write a file that appears when it is complete and on the disk; it keeps the permissions of "
      "the one that it replaces.");
  m.def("dlpack_array", &dlpack_array, "bytes"_a, "owner"_a, "code"_a, "bits"_a, "shape"_a,
        nb::sig("def dlpack_array(bytes: numpy.typing.NDArray[numpy.uint8], owner: object, code: "
                "int, bits: int, shape: collections.abc.Sequence[int]) -> typing.Any"),
        "An object that exports these bytes through DLPack as another type.");
}

}  // namespace quarrow::python

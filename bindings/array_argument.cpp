// SPDX-License-Identifier: Apache-2.0
#include "array_argument.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string>

#include "errors.h"
#include "numpy_arrays.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

nb::object numpy() { return nb::module_::import_("numpy"); }

// Whether a buffer's format is that type in this machine's byte order: numpy spells out the order
// of arrays that are not aligned.
bool is_format(const char* format, ElementType type) noexcept {
  if (format == nullptr) {
    return false;
  }
  constexpr char kNativeOrder = std::endian::native == std::endian::little ? '<' : '>';
  if (*format == '=' || *format == '^' || *format == '@' || *format == kNativeOrder) {
    ++format;
  }
  return format[0] == numpy_type(type).buffer_format && format[1] == '\0';
}

// str(array.<attribute>)
std::string attribute_text(nb::handle array, const char* attribute) {
  const nb::object value = nb::getattr(array, attribute);
  const nb::object text = nb::steal(PyObject_Str(value.ptr()));
  if (!text.is_valid()) {
    throw nb::python_error();
  }
  return utf8_of(text);
}

// ml_dtypes arrays refuse the buffer protocol; their views as integers do not.
nb::object plain_view(nb::handle array, ElementType type) {
  const NumpyType& known = numpy_type(type);
  if (known.integers != nullptr && attribute_text(array, "dtype") == std::string_view(known.name)) {
    // The base class's own view: that of a subclass might be of other memory.
    return numpy().attr("ndarray").attr("view")(array, known.integers);
  }
  return nb::borrow(array);
}

class HeldBuffer {
 public:
  explicit HeldBuffer(nb::handle object) {
    held_ = PyObject_GetBuffer(object.ptr(), &buffer_, PyBUF_RECORDS_RO) == 0;
    if (!held_) {
      PyErr_Clear();
    }
  }
  ~HeldBuffer() {
    if (held_) {
      PyBuffer_Release(&buffer_);
    }
  }
  HeldBuffer(const HeldBuffer&) = delete;
  HeldBuffer& operator=(const HeldBuffer&) = delete;
  const Py_buffer* get() const noexcept { return held_ ? &buffer_ : nullptr; }

 private:
  Py_buffer buffer_{};
  bool held_ = false;
};

std::string wanted(const ArraySpec& spec) {
  return std::string(spec.role) + " must be a C-contiguous numpy array of " +
         numpy_type(spec.type).name + " and shape " + shape_text(spec.shape);
}

}  // namespace

std::uint64_t ArraySpec::bytes() const noexcept {
  std::uint64_t elements = 1;
  for (const std::int64_t dimension : shape) {
    elements *= static_cast<std::uint64_t>(dimension);
  }
  return elements * block_of(type).bytes;
}

ArrayMemory array_argument(nb::handle array, const ArraySpec& spec, nb::handle name) {
  if (!nb::isinstance(array, numpy().attr("ndarray"))) {
    raise_invalid_input(wanted(spec) + ", not " + short_repr(array.type()), name);
  }
  const nb::object plain = plain_view(array, spec.type);
  const HeldBuffer held(plain);
  const Py_buffer* buffer = held.get();
  const bool right_type = buffer != nullptr && is_format(buffer->format, spec.type);
  const bool right_shape = right_type &&
                           static_cast<std::size_t>(buffer->ndim) == spec.shape.size() &&
                           std::equal(spec.shape.begin(), spec.shape.end(), buffer->shape);
  if (!right_shape) {
    raise_invalid_input(wanted(spec) + ", not " + attribute_text(array, "dtype") + " and shape " +
                            attribute_text(array, "shape"),
                        name);
  }
  if (PyBuffer_IsContiguous(buffer, 'C') == 0) {
    raise_invalid_input(wanted(spec) + ", and this one is not contiguous", name);
  }
  if (buffer->len != 0 &&
      reinterpret_cast<std::uintptr_t>(buffer->buf) % block_of(spec.type).bytes != 0) {
    raise_invalid_input(wanted(spec) +
                            ", and this one does not lie at a multiple of its element "
                            "size in memory; pass its copy()",
                        name);
  }
  return {.data = buffer->buf, .writable = buffer->readonly == 0};
}

void* output_argument(nb::handle array, const ArraySpec& spec, nb::handle name) {
  const ArrayMemory memory = array_argument(array, spec, name);
  if (!memory.writable) {
    raise_invalid_input(wanted(spec) + " that can be written, and this one is read-only", name);
  }
  return memory.data;
}

}  // namespace quarrow::python

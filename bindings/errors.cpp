// SPDX-License-Identifier: Apache-2.0
#include "errors.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <charconv>
#include <string>

#include "quarrow/core/tensor_view.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

constexpr std::size_t kLongestRepr = 60;
// Names of layers are paths; a hostile file may have one of megabytes.
constexpr std::size_t kLongestName = 300;

nb::object exception_class(const char* name) {
  return nb::module_::import_("quarrow.exceptions").attr(name);
}

[[noreturn]] void raise(const nb::object& exception) {
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw nb::python_error();
}

nb::object name_or_none(nb::handle name) { return name.is_valid() ? nb::borrow(name) : nb::none(); }

// repr(object), cut to `longest` bytes. Lone surrogates, which UTF-8 cannot say, are escaped.
std::string cut_repr(nb::handle object, std::size_t longest) {
  const nb::object repr =
      PyUnicode_CheckExact(object.ptr())
          ? nb::steal(PyObject_Repr(object.ptr()))
          : nb::object(nb::module_::import_("quarrow.safe_repr").attr("safe_repr")(object));
  const nb::object encoded =
      repr.is_valid()
          ? nb::steal(PyUnicode_AsEncodedString(repr.ptr(), "utf-8", "backslashreplace"))
          : nb::object();
  if (!encoded.is_valid()) {
    if (PyErr_ExceptionMatches(PyExc_Exception) == 0) {
      throw nb::python_error();
    }
    PyErr_Clear();
    return "<" + utf8_of(object.type().attr("__name__")) + ">";
  }
  std::string text(PyBytes_AsString(encoded.ptr()),
                   static_cast<std::size_t>(PyBytes_Size(encoded.ptr())));
  if (text.size() > longest) {
    std::size_t end = longest;
    while ((static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
      --end;
    }
    text.resize(end);
    text += "...";
  }
  return text;
}

std::string with_layer(std::string_view message, nb::handle name) {
  if (!name.is_valid() || name.is_none()) {
    return std::string(message);
  }
  return "layer " + cut_repr(name, kLongestName) + ": " + std::string(message);
}

[[noreturn]] void raise_named(const char* class_name, std::string_view message, nb::handle name) {
  raise(exception_class(class_name)(text_of_bytes(with_layer(message, name)),
                                    "name"_a = name_or_none(name)));
}

// As Python writes a float: the fewest digits that are this value.
std::string number_text(double value) {
  char digits[32];
  const auto [end, error] = std::to_chars(std::begin(digits), std::end(digits), value);
  return {digits, error == std::errc() ? end : digits};
}

std::string place(std::uint64_t index, std::uint64_t cols) {
  const std::uint64_t width = cols == 0 ? 1 : cols;
  return "index " + std::to_string(index) + " (row " + std::to_string(index / width) + ", column " +
         std::to_string(index % width) + ")";
}

std::string and_more(std::uint64_t count) {
  if (count == 0) {
    return {};
  }
  return count == 1 ? ", as is 1 more" : ", as are " + std::to_string(count) + " more";
}

std::string_view text_of(NonFiniteKind kind) {
  switch (kind) {
    case NonFiniteKind::kPositiveInf:
      return "+Inf";
    case NonFiniteKind::kNegativeInf:
      return "-Inf";
    case NonFiniteKind::kNaN:
      break;
  }
  return "NaN";
}

[[noreturn]] void raise_non_finite(const Status& status, const LayerFacts& layer) {
  const std::string_view kind = text_of(status.kind);
  const std::string count =
      status.count == 1 ? "1 value is" : std::to_string(status.count) + " values are";
  const std::string message = count + " NaN or Inf; the first, " + std::string(kind) + ", at " +
                              place(status.position, layer.cols);
  raise(exception_class("NonFiniteError")(
      with_layer(message, layer.name), "name"_a = name_or_none(layer.name),
      "index"_a = status.position, "count"_a = status.count, "kind"_a = kind));
}

}  // namespace

bool is_quarrow_error(const nb::python_error& error) {
  return error.matches(exception_class("QuarrowError"));
}

bool is_refusal() {
  if (PyErr_ExceptionMatches(PyExc_Exception) == 0) {
    throw nb::python_error();
  }
  // The usual ones cost a tenth of a small call less when they are not looked at further.
  PyObject* const type = PyErr_Occurred();
  const bool usual = type == PyExc_AttributeError || type == PyExc_TypeError ||
                     type == PyExc_ValueError || type == PyExc_BufferError;
  if (usual) {
    PyErr_Clear();
    return true;
  }
  const nb::python_error error;
  if (error.matches(PyExc_OSError) || error.matches(PyExc_MemoryError) || is_quarrow_error(error)) {
    throw nb::python_error(error);
  }
  return true;
}

nb::str text_of_bytes(std::string_view bytes) {
  nb::object text = nb::steal(PyUnicode_DecodeUTF8(
      bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "backslashreplace"));
  if (!text.is_valid()) {
    throw nb::python_error();
  }
  return nb::borrow<nb::str>(text);
}

std::string utf8_of(nb::handle text) { return std::string(nb::cast<std::string_view>(text)); }

std::string short_repr(nb::handle object) { return cut_repr(object, kLongestRepr); }

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += i == 0 ? "" : ", ";
    text += std::to_string(shape[i]);
  }
  text += shape.size() == 1 ? ",)" : ")";
  return text;
}

void raise_invalid_input(std::string_view message, nb::handle name) {
  raise_named("InvalidInputError", message, name);
}

void raise_unsupported_format(std::string_view message, nb::handle name) {
  raise_named("UnsupportedFormatError", message, name);
}

void raise_forked() {
  raise_named("QuarrowError",
              "the process was forked while this call ran, and its threads are not in the child; "
              "end the child with os._exit(), or fork between calls",
              {});
}

void raise_status(const Status& status, const LayerFacts& layer) {
  switch (status.code) {
    case StatusCode::kCancelled:
      throw nb::python_error();
    case StatusCode::kNonFinite:
      raise_non_finite(status, layer);
    case StatusCode::kBeyondF32:
      raise_invalid_input(
          "the value " + number_text(status.value) + " at " + place(status.position, layer.cols) +
              " is finite but beyond float32, in which the engine works (up to "
              "3.4028235e+38)" +
              and_more(status.count - 1) + "; divide the tensor by a constant first",
          layer.name);
    case StatusCode::kTooManyDimensions:
      raise_invalid_input("the tensor has " + std::to_string(status.count) +
                              " dimensions, and at most " + std::to_string(kMaxDimensions) +
                              " can be read; reshape it to fewer",
                          layer.name);
    case StatusCode::kRangeOverflow:
      raise_invalid_input("the group that starts at " + place(status.position, layer.cols) +
                              " spans more than its scale can hold (max - min overflows float32, "
                              "or the scale the float16 of a block); divide the tensor by a "
                              "constant first",
                          layer.name);
    case StatusCode::kValueOverflow:
      raise_invalid_input("the value at " + place(status.position, layer.cols) +
                              " is finite but beyond the new dtype; choose float32, or leave the "
                              "dtype as it is",
                          layer.name);
    case StatusCode::kPartialBlock:
      raise_invalid_input("a tensor of shape " + shape_text(layer.shape) +
                              " has rows that are not whole blocks of " +
                              std::to_string(status.count) +
                              " columns; choose a format without blocks, or pad the rows",
                          layer.name);
    case StatusCode::kSizeOverflow:
      raise_invalid_input("a tensor of shape " + shape_text(layer.shape) +
                              " is too large: its size or that of its result does not fit in "
                              "63 bits",
                          layer.name);
    case StatusCode::kOk:
    case StatusCode::kWrongLayerCount:
    case StatusCode::kBadFormat:
    case StatusCode::kBadDType:
    case StatusCode::kBadStride:
    case StatusCode::kNullInput:
    case StatusCode::kNullOutput:
    case StatusCode::kOtherTensor:
    case StatusCode::kPlanNotCut:
    case StatusCode::kBadPolicy:
    case StatusCode::kNoExecutor:
    case StatusCode::kNoTarget:
      break;
  }
  raise_named("QuarrowError", "the engine was called wrongly: " + std::string(name_of(status.code)),
              layer.name);
}

}  // namespace quarrow::python

// SPDX-License-Identifier: Apache-2.0
#include "numpy_arrays.h"

// No other file includes numpy's headers: the table of its functions is a static of this one.
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
// The oldest numpy that pyproject.toml names.
#define NPY_TARGET_VERSION NPY_1_24_API_VERSION
#include <numpy/arrayobject.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <string>

#include "element_types.h"
#include "errors.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

constexpr std::array kNumpyTypes = {
    NumpyType{ElementType::kBool, "bool", '?', NPY_BOOL},
    NumpyType{ElementType::kU8, "uint8", 'B', NPY_UINT8},
    NumpyType{ElementType::kI8, "int8", 'b', NPY_INT8},
    NumpyType{ElementType::kI16, "int16", 'h', NPY_INT16},
    NumpyType{ElementType::kU16, "uint16", 'H', NPY_UINT16},
    NumpyType{ElementType::kF16, "float16", 'e', NPY_FLOAT16},
    NumpyType{ElementType::kI32, "int32", 'i', NPY_INT32},
    NumpyType{ElementType::kU32, "uint32", 'I', NPY_UINT32},
    NumpyType{ElementType::kF32, "float32", 'f', NPY_FLOAT32},
    NumpyType{ElementType::kF64, "float64", 'd', NPY_FLOAT64},
    NumpyType{ElementType::kI64, "int64", 'l', NPY_INT64},
    NumpyType{ElementType::kU64, "uint64", 'L', NPY_UINT64},
    NumpyType{ElementType::kBF16, "bfloat16", 'H', NPY_UINT16, "uint16"},
    NumpyType{ElementType::kF8E4M3, "float8_e4m3fn", 'B', NPY_UINT8, "uint8"},
    NumpyType{ElementType::kF8E5M2, "float8_e5m2", 'B', NPY_UINT8, "uint8"},
    NumpyType{ElementType::kF8E8M0, "float8_e8m0fnu", 'B', NPY_UINT8, "uint8"},
    NumpyType{ElementType::kF8E4M3FNUZ, "float8_e4m3fnuz", 'B', NPY_UINT8, "uint8"},
    NumpyType{ElementType::kF8E5M2FNUZ, "float8_e5m2fnuz", 'B', NPY_UINT8, "uint8"},
};

// A new reference, which PyArray_NewFromDescr takes over.
PyArray_Descr* descriptor(ElementType dtype) {
  const NumpyType& known = numpy_type(dtype);
  if (known.integers == nullptr || !has_ml_dtypes()) return PyArray_DescrFromType(known.number);
  PyArray_Descr* found = nullptr;
  const nb::object type = nb::getattr(nb::module_::import_("ml_dtypes"), known.name);
  if (PyArray_DescrConverter(type.ptr(), &found) == NPY_FAIL) throw nb::python_error();
  return found;
}

// DLPack's, of a kind of numpy's.
std::uint8_t code_of(char kind) noexcept {
  using Code = nb::dlpack::dtype_code;
  const auto code = [kind] {
    switch (kind) {
      case 'i':
        return Code::Int;
      case 'u':
        return Code::UInt;
      case 'f':
        return Code::Float;
      case 'c':
        return Code::Complex;
      default:
        return Code::Bool;
    }
  };
  return static_cast<std::uint8_t>(code());
}

std::optional<DType> dtype_of(int type_number) noexcept {
  switch (type_number) {
    case NPY_FLOAT32:
      return DType::kF32;
    case NPY_FLOAT16:
      return DType::kF16;
    case NPY_FLOAT64:
      return DType::kF64;
    default:
      return std::nullopt;
  }
}

}  // namespace

const NumpyType& numpy_type(ElementType type) noexcept {
  const auto* const known = std::ranges::find(kNumpyTypes, type, &NumpyType::type);
  return known != kNumpyTypes.end() ? *known : numpy_type(ElementType::kU8);
}

void import_numpy() {
  if (_import_array() < 0) throw nb::python_error();
}

nb::object new_array(void* data, ElementType dtype, std::span<const std::int64_t> shape,
                     nb::handle base) {
  std::array<npy_intp, kMaxDimensions> dimensions;
  std::ranges::copy(shape, dimensions.begin());
  nb::object array = nb::steal(
      PyArray_NewFromDescr(&PyArray_Type, descriptor(dtype), static_cast<int>(shape.size()),
                           dimensions.data(), nullptr, data, NPY_ARRAY_CARRAY, nullptr));
  if (!array.is_valid()) {
    // Before numpy 2.
    constexpr std::size_t kAlwaysHeld = 32;
    if (shape.size() <= kAlwaysHeld || PyErr_ExceptionMatches(PyExc_ValueError) == 0) {
      throw nb::python_error();
    }
    PyErr_Clear();
    raise_invalid_input("this version of numpy has no arrays of " + std::to_string(shape.size()) +
                        " dimensions; install numpy 2");
  }
  if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(array.ptr()),
                            nb::borrow(base).release().ptr()) < 0) {
    throw nb::python_error();
  }
  return array;
}

bool read_array(nb::handle object, ArrayFacts& facts) noexcept {
  if (!PyArray_CheckExact(object.ptr())) return false;
  auto* const array = reinterpret_cast<PyArrayObject*>(object.ptr());
  const std::optional<DType> dtype = dtype_of(PyArray_TYPE(array));
  const int dimensions = PyArray_NDIM(array);
  if (!dtype || dimensions == 0 || !PyArray_ISNOTSWAPPED(array) || PyArray_DATA(array) == nullptr) {
    return false;
  }
  facts.data = PyArray_DATA(array);
  facts.dtype = *dtype;
  facts.dimensions = static_cast<std::size_t>(dimensions);
  std::copy_n(PyArray_DIMS(array), dimensions, facts.shape);
  std::copy_n(PyArray_STRIDES(array), dimensions, facts.strides_bytes);
  return true;
}

bool read_array(nb::handle object, PlainArray& plain) noexcept {
  if (!PyArray_CheckExact(object.ptr())) return false;
  auto* const array = reinterpret_cast<PyArrayObject*>(object.ptr());
  if (!PyTypeNum_ISNUMBER(PyArray_TYPE(array)) || !PyArray_IS_C_CONTIGUOUS(array) ||
      !PyArray_ISNOTSWAPPED(array) || PyArray_DATA(array) == nullptr) {
    return false;
  }
  const auto bits = static_cast<std::uint8_t>(8 * PyArray_ITEMSIZE(array));
  const std::optional<ElementType> dtype =
      element_type_of({code_of(PyArray_DESCR(array)->kind), bits, 1});
  if (!dtype) return false;
  plain.dtype = *dtype;
  plain.shape = {PyArray_DIMS(array), static_cast<std::size_t>(PyArray_NDIM(array))};
  plain.bytes = {static_cast<const std::byte*>(PyArray_DATA(array)),
                 static_cast<std::size_t>(PyArray_NBYTES(array))};
  return true;
}

bool has_ml_dtypes() {
  // Not a static made once: the import may pass the lock on to a thread that would wait for it.
  enum : int { kUnknown, kMissing, kInstalled };
  static std::atomic<int> state = kUnknown;
  if (state == kUnknown) {
    try {
      nb::module_::import_("ml_dtypes");
      state = kInstalled;
    } catch (const nb::python_error& error) {
      if (!error.matches(PyExc_ImportError)) {
        throw;
      }
      state = kMissing;
    }
  }
  return state == kInstalled;
}

}  // namespace quarrow::python

// SPDX-License-Identifier: Apache-2.0
#include "input_array.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <bit>
#include <string>
#include <string_view>
#include <utility>

#include "dlpack_capsule.h"
#include "errors.h"
#include "metrics.h"
#include "numpy_arrays.h"
#include "torch_tensors.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

// A struct-module format of one native float; nothing for anything else.
std::optional<DType> dtype_of_buffer(const char* format) {
  if (format == nullptr) {
    return std::nullopt;
  }
  constexpr char kNativeOrder = std::endian::native == std::endian::little ? '<' : '>';
  if (*format == '@' || *format == '=' || *format == kNativeOrder) {
    ++format;
  }
  if (format[0] == '\0' || format[1] != '\0') {
    return std::nullopt;
  }
  switch (format[0]) {
    case 'f':
      return DType::kF32;
    case 'e':
      return DType::kF16;
    case 'd':
      return DType::kF64;
    default:
      return std::nullopt;
  }
}

std::optional<DType> dtype_of_dlpack(nb::dlpack::dtype dtype) {
  if (dtype.lanes != 1) {
    return std::nullopt;
  }
  if (dtype.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Bfloat)) {
    return dtype.bits == 16 ? std::optional(DType::kBF16) : std::nullopt;
  }
  if (dtype.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float)) {
    switch (dtype.bits) {
      case 16:
        return DType::kF16;
      case 32:
        return DType::kF32;
      case 64:
        return DType::kF64;
      default:
        break;
    }
  }
  return std::nullopt;
}

// True when all dimensions but the first lie one after the other. A 1-D tensor is one row, so there
// the only dimension has to.
bool columns_contiguous(std::span<const std::int64_t> shape,
                        std::span<const std::int64_t> strides_bytes, std::size_t element_bytes) {
  const std::size_t first = shape.size() == 1 ? 0 : 1;
  auto expected = static_cast<std::int64_t>(element_bytes);
  for (std::size_t i = shape.size(); i-- > first;) {
    if (shape[i] != 1 && strides_bytes[i] != expected) {
      return false;
    }
    expected *= shape[i];
  }
  return true;
}

// numpy would make an array of new memory of it, with whatever lies there.
[[noreturn]] void raise_null_address(nb::handle tensor, nb::handle name) {
  raise_invalid_input("got " + utf8_of(tensor.type().attr("__name__")) +
                          ", whose address is null; pass an array that has memory",
                      name);
}

// What __dlpack__ returns; nothing when there is none, or when it refuses. The capsule itself is
// read, not the object: nanobind marks a capsule that it was handed as used, so that one which is
// offered twice is not freed twice. `torch`: given for its tensors.
nb::object dlpack_capsule(nb::handle tensor, const Torch* torch) {
  if (PyCapsule_CheckExact(tensor.ptr())) {
    return nb::borrow(tensor);
  }
  if (PyType_Check(tensor.ptr()) != 0) {
    return {};
  }
  return torch != nullptr ? torch_capsule(tensor, *torch) : exported_capsule(tensor);
}

}  // namespace

InputArray::InputArray(nb::handle tensor, nb::handle name, bool copy) {
  if (!borrow_array(tensor, name) && !borrow_buffer(tensor, name, std::nullopt) &&
      !borrow_dlpack(tensor, name)) {
    coerce(tensor, name, copy);
  }
}

bool InputArray::borrow_array(nb::handle tensor, nb::handle name) {
  ArrayFacts facts;
  if (!read_array(tensor, facts)) {
    return false;
  }
  shape_.assign(facts.shape, facts.shape + facts.dimensions);
  if (!set_view(facts.data, facts.dtype, {facts.strides_bytes, facts.dimensions}, name)) {
    return false;
  }
  array_ = nb::borrow(tensor);
  return true;
}

bool InputArray::borrow_buffer(nb::handle tensor, nb::handle name, std::optional<DType> dtype) {
  if (PyObject_CheckBuffer(tensor.ptr()) == 0) {
    return false;
  }
  auto filled = std::make_unique<Py_buffer>();
  if (PyObject_GetBuffer(tensor.ptr(), filled.get(), PyBUF_RECORDS_RO) != 0) {
    return !is_refusal();
  }
  std::unique_ptr<Py_buffer, ReleaseBuffer> held(filled.release());
  const Py_buffer& buffer = *held;
  if (buffer.buf == nullptr && buffer.len != 0) {
    raise_null_address(tensor, name);
  }
  if (!dtype) {
    dtype = dtype_of_buffer(buffer.format);
  }
  if (buffer.ndim > static_cast<int>(kMaxDimensions)) {
    raise_status(
        {.code = StatusCode::kTooManyDimensions, .count = static_cast<std::uint64_t>(buffer.ndim)},
        {.name = name});
  }
  if (dtype && buffer.ndim > 0) {
    const auto dimensions = static_cast<std::size_t>(buffer.ndim);
    shape_.assign(buffer.shape, buffer.shape + dimensions);
    // ctypes leaves the strides out although they were asked for.
    std::int64_t strides[kMaxDimensions];
    auto contiguous = static_cast<std::uint64_t>(buffer.itemsize);  // may wrap, beside a zero
    for (std::size_t i = dimensions; i-- > 0;) {
      strides[i] = buffer.strides == nullptr ? static_cast<std::int64_t>(contiguous)
                                             : static_cast<std::int64_t>(buffer.strides[i]);
      contiguous *= static_cast<std::uint64_t>(shape_[i]);
    }
    if (set_view(buffer.buf, *dtype, {strides, dimensions}, name)) {
      buffer_ = std::move(held);
      return true;
    }
  }
  return false;
}

bool InputArray::borrow_dlpack(nb::handle tensor, nb::handle name) {
  const Torch* const torch = torch_of(tensor);
  const nb::object capsule = dlpack_capsule(tensor, torch);
  if (!capsule.is_valid() || !PyCapsule_CheckExact(capsule.ptr())) {
    return false;
  }
  check_dlpack_capsule(capsule, name);
  nb::ndarray<nb::ro> array;
  if (!nb::try_cast(capsule, array, false)) {
    PyErr_Clear();
    return false;
  }
  if (array.device_type() == nb::device::cpu::value && array.data() == nullptr &&
      array.size() != 0) {
    if (torch == nullptr) {
      raise_null_address(tensor, name);
    }
    return false;
  }
  const std::optional<DType> dtype = dtype_of_dlpack(array.dtype());
  if (array.device_type() != nb::device::cpu::value || !dtype || array.ndim() == 0) {
    return false;
  }
  shape_.clear();
  std::int64_t strides[kMaxDimensions];
  for (std::size_t i = 0; i < array.ndim(); ++i) {
    shape_.push_back(static_cast<std::int64_t>(array.shape(i)));
    const auto element_bytes = static_cast<std::int64_t>(size_of(*dtype));
    if (__builtin_mul_overflow(array.stride(i), element_bytes, &strides[i])) {
      raise_invalid_input("the strides of the DLPack tensor do not fit in 63 bits", name);
    }
  }
  if (!set_view(array.data(), *dtype, {strides, array.ndim()}, name)) {
    return false;
  }
  // A storage can be freed or cut while tensors still look at it, and an export does not say so.
  if (torch != nullptr && !lies_in(storage_of(tensor))) {
    return false;
  }
  dlpack_ = std::move(array);
  return true;
}

bool InputArray::set_view(const void* data, DType dtype,
                          std::span<const std::int64_t> strides_bytes, nb::handle name) {
  try {
    view_ = matrix_view(data, dtype, shape_);
  } catch (const StatusError& error) {
    raise_status(error.status(), {.name = name, .shape = shape_});
  }
  if (view_.elements() == 0) {
    return true;
  }
  if (!columns_contiguous(shape_, strides_bytes, size_of(dtype))) {
    return false;
  }
  if (shape_.size() > 1 && shape_[0] > 1) {
    view_.row_stride_bytes = strides_bytes[0];
    view_.rows_overlap = true;
  }
  return true;
}

void InputArray::coerce(nb::handle tensor, nb::handle name, bool copy) {
  const nb::object coercion = nb::module_::import_("quarrow.input_coercion");
  const nb::object found = coercion.attr("readable")(tensor, name, copy);
  const auto [array, dtype_name, copied] =
      nb::cast<std::tuple<nb::object, std::optional<std::string_view>, std::uint64_t>>(found);
  bytes_copied_ = copied;
  if (CallRecord* record = CallRecord::current()) {
    record->copied(copied);
  }
  const std::optional<DType> dtype =
      dtype_name ? dtype_from_name(*dtype_name) : std::optional<DType>();
  if (!borrow_buffer(array, name, dtype) && !borrow_dlpack(array, name)) {
    raise_invalid_input("cannot read " + short_repr(nb::handle(tensor.type())) +
                            "; pass a numpy array or a DLPack tensor on the CPU",
                        name);
  }
}

bool InputArray::overlaps(const void* data, std::uint64_t bytes) const noexcept {
  if (view_.elements() == 0 || bytes == 0) {
    return false;
  }
  const auto [first, last] = extent();
  const auto begin = reinterpret_cast<std::intptr_t>(data);
  const std::intptr_t end = begin + static_cast<std::intptr_t>(bytes);
  return begin < last && first < end;
}

bool InputArray::lies_in(std::span<const std::byte> memory) const noexcept {
  if (view_.elements() == 0) {
    return true;
  }
  const auto [first, last] = extent();
  const auto begin = reinterpret_cast<std::intptr_t>(memory.data());
  return begin <= first && last <= begin + static_cast<std::intptr_t>(memory.size());
}

std::pair<std::intptr_t, std::intptr_t> InputArray::extent() const noexcept {
  const auto row_bytes = static_cast<std::intptr_t>(view_.cols * size_of(view_.dtype));
  const auto first = reinterpret_cast<std::intptr_t>(view_.data);
  const std::intptr_t last =
      first + static_cast<std::intptr_t>(view_.rows - 1) * view_.row_stride_bytes;
  return {std::min(first, last), std::max(first, last) + row_bytes};
}

}  // namespace quarrow::python

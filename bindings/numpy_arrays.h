// SPDX-License-Identifier: Apache-2.0
//
// numpy's own C interface: arrays are made and read through it, without a lookup or an import.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "quarrow/core/dtype.h"
#include "quarrow/core/element_type.h"
#include "quarrow/core/tensor_view.h"

namespace quarrow::python {

// Finds it. To be called once, when the module is made. Raises ImportError, or what numpy raises.
void import_numpy();

// How numpy knows a type of elements; those of ml_dtypes by the unsigned integers of their width,
// which stand for them where that is not installed.
struct NumpyType {
  ElementType type;
  const char* name;
  char buffer_format;  // of the buffer protocol
  int number;
  const char* integers = nullptr;  // their name; null: the type is numpy's own
};
// Elements that share bytes, and blocks, are bytes.
const NumpyType& numpy_type(ElementType type) noexcept;

// A writable C-contiguous array over `data`, which must not be null and lives as long as `base`.
// Raises InvalidInputError where numpy has no arrays of so many dimensions.
nanobind::object new_array(void* data, ElementType dtype, std::span<const std::int64_t> shape,
                           nanobind::handle base);

// What an array says of itself, valid while it lives and nobody reshapes it.
struct ArrayFacts {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  std::size_t dimensions = 0;  // from 1 to kMaxDimensions
  std::int64_t shape[kMaxDimensions];
  std::int64_t strides_bytes[kMaxDimensions];
};

// Of a numpy.ndarray itself, in this machine's byte order and with an address; false for all else,
// subclasses included: they may give another buffer than what the array is.
bool read_array(nanobind::handle object, ArrayFacts& facts) noexcept;

// An array whose elements lie as in a file.
struct PlainArray {
  ElementType dtype = ElementType::kF32;
  std::span<const std::int64_t> shape;  // valid as in ArrayFacts
  std::span<const std::byte> bytes;
};

// The same for every dtype of numpy's own that files know, in C order.
bool read_array(nanobind::handle object, PlainArray& plain) noexcept;

// True when ml_dtypes can be imported; found out once.
bool has_ml_dtypes();

}  // namespace quarrow::python

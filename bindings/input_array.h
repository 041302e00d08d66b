// SPDX-License-Identifier: Apache-2.0
//
// A tensor that a caller passed in, borrowed where it lies.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "quarrow/core/tensor_view.h"

namespace quarrow::python {

struct ReleaseBuffer {
  void operator()(Py_buffer* buffer) const noexcept {
    PyBuffer_Release(buffer);
    delete buffer;
  }
};

// Reads f32, f16, f64 of numpy arrays (read-only too) as they lie, and through the buffer protocol
// (array.array; memoryview), and f32, f16, bf16, f64 through DLPack (versioned and old capsules).
// What none gives is handed to quarrow.input_coercion, which views, copies (when `copy` is true) or
// raises the InvalidInputError that says what is wrong. A tensor whose values do not lie in memory
// of its own is never read: a null pointer, a torch storage that was freed or cut, a class of torch
// that only stands for values. Keeps the memory alive and exported for its own lifetime. Needs the
// lock, also to be moved or destroyed.
class InputArray {
 public:
  // `name`: the layer's name for messages, or None.
  InputArray(nanobind::handle tensor, nanobind::handle name, bool copy);
  const TensorView& view() const noexcept { return view_; }
  const std::vector<std::int64_t>& shape() const noexcept { return shape_; }
  std::vector<std::int64_t> take_shape() noexcept { return std::move(shape_); }
  std::uint64_t bytes_copied() const noexcept { return bytes_copied_; }

  // True when some byte of [data, data + bytes) may belong to this tensor.
  bool overlaps(const void* data, std::uint64_t bytes) const noexcept;

 private:
  // Each returns false, with nothing held, when it cannot read the tensor in place. A dtype given
  // stands for the exporter's own: numpy has no code for bfloat16.
  bool borrow_array(nanobind::handle tensor, nanobind::handle name);
  bool borrow_buffer(nanobind::handle tensor, nanobind::handle name, std::optional<DType> dtype);
  bool borrow_dlpack(nanobind::handle tensor, nanobind::handle name);
  bool set_view(const void* data, DType dtype, std::span<const std::int64_t> strides_bytes,
                nanobind::handle name);
  // Whether every byte that is read lies in `memory`.
  bool lies_in(std::span<const std::byte> memory) const noexcept;
  // The addresses of the first byte and of the one after the last; there must be an element.
  std::pair<std::intptr_t, std::intptr_t> extent() const noexcept;
  void coerce(nanobind::handle tensor, nanobind::handle name, bool copy);

  TensorView view_;
  std::vector<std::int64_t> shape_;
  std::uint64_t bytes_copied_ = 0;
  nanobind::object array_;
  std::unique_ptr<Py_buffer, ReleaseBuffer> buffer_;
  nanobind::ndarray<nanobind::ro> dlpack_;
};

}  // namespace quarrow::python

// SPDX-License-Identifier: Apache-2.0
//
// Tensors that a program holds, read for a job that sees them as a file's.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "quarrow/containers/checkpoint.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow::python {

// Needs the lock.
class MemoryTensors {
 public:
  MemoryTensors() = default;
  MemoryTensors(const MemoryTensors&) = delete;
  MemoryTensors& operator=(const MemoryTensors&) = delete;
  // An iterable of (name, value). numpy's own arrays and plain tensors of torch, in C order on the
  // CPU, are read here; what any other value is `read(name, value)` says: None when it is no tensor
  // and is left out, else its dtype, its shape, an array in C order of whatever type with its
  // bytes, and how many of these were copied. In the place of that array a QuantizedTensor may
  // stand: an entry without data, for a job that writes it as it is. Raises InvalidInputError for
  // names that no file can have, and what `read` raises.
  MemoryTensors(nanobind::handle values, nanobind::handle read);

  // Borrowed from this.
  std::span<const TensorInMemory> tensors() const noexcept { return tensors_; }
  // Of each tensor, as they were given.
  const nanobind::list& names() const noexcept { return names_; }
  const nanobind::list& values() const noexcept { return values_; }
  // Of each tensor: what it is quantized; empty when none is.
  const std::vector<EncodedLayer>& encoded() const noexcept { return encoded_; }

  // Lets go of the data, and of the values, where they were handed out too.
  void release();

 private:
  bool add_array(nanobind::handle value);
  bool add_torch(nanobind::handle value);
  void add_read(nanobind::handle name, const nanobind::tuple& facts);
  void add(ElementType dtype, std::span<const std::int64_t> shape, std::span<const std::byte> data,
           nanobind::object held);

  nanobind::list names_;
  nanobind::list values_;
  std::vector<nanobind::object> held_;     // what keeps the data of each alive
  std::vector<std::uint64_t> dimensions_;  // of all shapes
  std::vector<TensorInMemory> tensors_;
  std::vector<EncodedLayer> encoded_;
};

}  // namespace quarrow::python

// SPDX-License-Identifier: Apache-2.0
//
// A checkpoint as Python holds it, and facts of files as Python objects.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "memory_tensors.h"
#include "quantized_tensor.h"
#include "quarrow/containers/checkpoint.h"
#include "quarrow/layouts/stored_layer.h"
#include "quarrow/pipeline/read_layer.h"
#include "quarrow/quantize/plan.h"

namespace quarrow::python {

nanobind::str text_object(std::string_view text);
nanobind::tuple shape_object(std::span<const std::uint64_t> shape);
nanobind::object value_object(const MetadataValue& value);
nanobind::dict metadata_object(const std::optional<TensorTable::Metadata>& metadata);
// A one-dimensional uint8 array over memory that `owner` keeps alive.
nanobind::object bytes_array(std::byte* data, std::uint64_t bytes,
                             std::shared_ptr<const void> owner);

// None or the name of a float dtype that values can be written in. Raises InvalidInputError.
std::optional<DType> float_dtype_argument(nanobind::handle dtype);

// Tensors in files, or in a program's memory. Safe to use from several threads: what is being read
// stays open.
class OpenCheckpoint {
 public:
  // `io`: "read" or "mmap". Raises CheckpointError, OSError and InvalidInputError.
  OpenCheckpoint(const nanobind::bytes& path, std::string_view io);
  // Tensors of a program's; see MemoryTensors.
  OpenCheckpoint(nanobind::handle tensors, const nanobind::dict& metadata, nanobind::handle read);

  // Raises InvalidInputError when it is closed.
  std::shared_ptr<const Checkpoint> files() const;
  void close();
  // Lets go of files, or of a program's tensors, for a job that has ended, which keeps names and
  // sizes: nobody may read now.
  void release();

  const MemoryTensors& memory() const noexcept { return memory_; }

  // Joins the entries of quantized layers. Raises CheckpointError where they do not fit together.
  void find_layers();

  // Tensors and, after find_layers(), layers, in the order of the file.
  std::size_t size() const noexcept { return items_.size(); }
  nanobind::str name(std::size_t index) const;
  // name, dtype, shape, bytes in the file, format or None, index of the file
  nanobind::tuple item(std::size_t index) const;
  // Both raise CheckpointError for what has more dimensions than an array.
  // A stretch of a tensor's bytes: in memory of its own, or where the file is mapped.
  nanobind::object read(std::size_t index, std::uint64_t begin, std::uint64_t bytes) const;
  QuantizedTensor read_layer(std::size_t index) const;
  // Whether two tensors hold the same bytes; layers never do.
  bool same_bytes(std::size_t index, const OpenCheckpoint& other, std::size_t other_index) const;
  // The error of another tensor of the same shape, both float tensors or layers.
  ErrorSums compare(std::size_t index, const OpenCheckpoint& other, std::size_t other_index) const;

  nanobind::dict metadata() const;
  nanobind::list paths() const;
  std::uint64_t file_bytes() const { return files()->file_bytes(); }

 private:
  struct Item {
    const TensorEntry* tensor = nullptr;  // of a layer, its codes
    std::optional<std::size_t> layer;
  };

  const Item& at(std::size_t index) const;
  ValuesInFile values(const Checkpoint& source, std::size_t index) const;

  std::shared_ptr<Checkpoint> files_;
  std::vector<Item> items_;
  std::optional<StoredLayers> layers_;
  Plan plan_;  // of the layers
  MemoryTensors memory_;
};

}  // namespace quarrow::python

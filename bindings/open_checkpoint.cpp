// SPDX-License-Identifier: Apache-2.0
#include "open_checkpoint.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <string>
#include <utility>

#include "call_context.h"
#include "errors.h"
#include "file_errors.h"
#include "format_argument.h"
#include "interpreter_lock.h"
#include "output_memory.h"
#include "quarrow/pipeline/read_layer.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

Io io_argument(std::string_view io) {
  if (io == "read") return Io::kRead;
  if (io == "mmap") return Io::kMap;
  raise_invalid_input("io must be 'read' or 'mmap', not '" + std::string(io) + "'");
}

}  // namespace

nb::str text_object(std::string_view text) { return nb::str(text.data(), text.size()); }

nb::tuple shape_object(std::span<const std::uint64_t> shape) {
  nb::list dimensions;
  for (const std::uint64_t dimension : shape) dimensions.append(dimension);
  return nb::tuple(dimensions);
}

nb::object value_object(const MetadataValue& value) {
  switch (value.type()) {
    case ValueType::kText:
      // Nobody promises that the texts of a GGUF file are UTF-8.
      return text_of_bytes(value.text());
    case ValueType::kList: {
      nb::list items;
      value.for_each_item([&](const MetadataValue& item) { items.append(value_object(item)); });
      return items;
    }
    case ValueType::kBool:
      return nb::bool_(value.as_integer() != 0);
    case ValueType::kF32:
    case ValueType::kF64:
      return nb::float_(value.as_float());
    case ValueType::kI8:
    case ValueType::kI16:
    case ValueType::kI32:
    case ValueType::kI64:
      return nb::int_(static_cast<std::int64_t>(value.as_integer()));
    case ValueType::kU8:
    case ValueType::kU16:
    case ValueType::kU32:
    case ValueType::kU64:
      break;
  }
  return nb::int_(value.as_integer());
}

nb::dict metadata_object(const std::optional<TensorTable::Metadata>& metadata) {
  nb::dict texts;
  if (metadata) {
    for (const auto& [key, value] : *metadata) texts[text_object(key)] = value_object(value);
  }
  return texts;
}

nb::object bytes_array(std::byte* data, std::uint64_t bytes, std::shared_ptr<const void> owner) {
  auto* held = new std::shared_ptr<const void>(std::move(owner));
  const nb::capsule keeper(held, [](void* shared) noexcept {
    delete static_cast<std::shared_ptr<const void>*>(shared);
  });
  const std::size_t shape[] = {static_cast<std::size_t>(bytes)};
  return nb::cast(nb::ndarray<nb::numpy, std::uint8_t, nb::ndim<1>>(data, 1, shape, keeper));
}

std::optional<DType> float_dtype_argument(nb::handle dtype) {
  if (dtype.is_none()) return std::nullopt;
  const DType chosen = dtype_argument(dtype, "dtype");
  if (chosen == DType::kF64) {
    raise_invalid_input("dtype must be 'float32', 'float16' or 'bfloat16', not 'float64'");
  }
  return chosen;
}

OpenCheckpoint::OpenCheckpoint(const nb::bytes& path, std::string_view io) {
  const Io chosen = io_argument(io);
  const std::string name(path.c_str(), path.size());
  files_ = with_file_errors([&] {
    const UnlockedScope unlocked;
    return std::make_shared<Checkpoint>(open_checkpoint(name, chosen));
  });
  for (const TensorEntry& tensor : files_->tensors.entries()) items_.push_back({&tensor, {}});
}

OpenCheckpoint::OpenCheckpoint(nb::handle tensors, const nb::dict& metadata, nb::handle read)
    : memory_(tensors, read) {
  TensorTable::Metadata texts;
  for (const auto& [key, value] : metadata) {
    texts.emplace_back(nb::cast<std::string_view>(key), nb::cast<std::string_view>(value));
  }
  try {
    files_ = std::make_shared<Checkpoint>(checkpoint_in_memory(memory_.tensors(), texts));
  } catch (const std::invalid_argument& error) {
    raise_invalid_input(error.what());
  }
  for (const TensorEntry& tensor : files_->tensors.entries()) items_.push_back({&tensor, {}});
}

std::shared_ptr<const Checkpoint> OpenCheckpoint::files() const {
  if (files_ == nullptr) raise_invalid_input("the checkpoint is closed");
  return files_;
}

void OpenCheckpoint::close() { files_.reset(); }

void OpenCheckpoint::release() {
  files_->close();
  memory_.release();
}

void OpenCheckpoint::find_layers() {
  const std::shared_ptr<const Checkpoint> source = files();
  with_file_errors([&] {
    const UnlockedScope unlocked;
    layers_ = find_stored_layers(*source);
    plan_ = plan_stored_layers(layers_->layers());
  });
  items_.clear();
  for (std::size_t index = 0; index < source->tensors.size(); ++index) {
    const TensorEntry* tensor = &source->tensors[index];
    const StoredLayer* layer = layers_->owner(index);
    if (layer == nullptr) {
      items_.push_back({tensor, {}});
    } else if (layer->codes() == tensor) {
      items_.push_back({tensor, static_cast<std::size_t>(layer - layers_->layers().data())});
    }
  }
}

const OpenCheckpoint::Item& OpenCheckpoint::at(std::size_t index) const {
  if (index >= size()) throw nb::index_error();
  return items_[index];
}

nb::str OpenCheckpoint::name(std::size_t index) const {
  const std::shared_ptr<const Checkpoint> source = files();
  const Item& item = at(index);
  return text_object(item.layer ? layers_->layers()[*item.layer].name : item.tensor->name);
}

nb::tuple OpenCheckpoint::item(std::size_t index) const {
  const std::shared_ptr<const Checkpoint> source = files();
  const Item& item = at(index);
  if (!item.layer) {
    const TensorEntry& tensor = *item.tensor;
    return nb::make_tuple(text_object(tensor.name), name_of(tensor.dtype),
                          shape_object(tensor.shape), tensor.bytes(), nb::none(), tensor.file);
  }
  const StoredLayer& layer = layers_->layers()[*item.layer];
  return nb::make_tuple(text_object(layer.name), name_of(layer.dtype), shape_object(layer.shape),
                        layer.bytes(), nb::cast(layer.format), item.tensor->file);
}

nb::object OpenCheckpoint::read(std::size_t index, std::uint64_t begin, std::uint64_t bytes) const {
  const std::shared_ptr<const Checkpoint> source = files();
  const TensorEntry& tensor = *at(index).tensor;
  with_file_errors([&] { source->check_dimensions(tensor, tensor.name, tensor.shape); });
  begin = std::min(begin, tensor.bytes());
  bytes = std::min(bytes, tensor.bytes() - begin);
  const CheckpointFile& file = source->file_of(tensor);
  if (file.mapping != nullptr) {
    // Checks that the file is still what was opened.
    const std::byte* data =
        with_file_errors([&] { return source->read(tensor, begin, bytes, nullptr); });
    return bytes_array(const_cast<std::byte*>(data), bytes, file.mapping);
  }
  const std::shared_ptr<std::byte> memory = allocate_output(static_cast<std::size_t>(bytes));
  with_file_errors([&] {
    const UnlockedScope unlocked;
    const std::byte* data = source->read(tensor, begin, bytes, memory.get());
    if (data != memory.get()) std::copy_n(data, bytes, memory.get());
  });
  return bytes_array(memory.get(), bytes, memory);
}

QuantizedTensor OpenCheckpoint::read_layer(std::size_t index) const {
  const std::shared_ptr<const Checkpoint> source = files();
  const Item& item = at(index);
  if (!item.layer) raise_invalid_input("the tensor is not quantized");
  const StoredLayer& layer = layers_->layers()[*item.layer];
  with_file_errors([&] { source->check_dimensions(*layer.codes(), layer.name, layer.shape); });
  LayerPlan planned = plan_.layers[*item.layer];
  QuantizedTensor tensor(as_in_memory(planned),
                         std::vector<std::int64_t>(layer.shape.begin(), layer.shape.end()),
                         text_object(layer.name));
  const Target target = target_in_use();
  with_file_errors([&] {
    const UnlockedScope unlocked;
    quarrow::read_layer(*source, layer, planned, target, tensor.span());
  });
  return tensor;
}

ValuesInFile OpenCheckpoint::values(const Checkpoint& source, std::size_t index) const {
  const Item& item = at(index);
  if (item.layer) {
    return {&source, item.tensor, &layers_->layers()[*item.layer], &plan_.layers[*item.layer]};
  }
  if (!float_dtype(item.tensor->dtype)) {
    raise_invalid_input("the tensor is not of a float type", text_object(item.tensor->name));
  }
  return {&source, item.tensor, nullptr, nullptr};
}

bool OpenCheckpoint::same_bytes(std::size_t index, const OpenCheckpoint& other,
                                std::size_t other_index) const {
  const std::shared_ptr<const Checkpoint> source = files();
  const std::shared_ptr<const Checkpoint> other_source = other.files();
  const Item& item = at(index);
  const Item& other_item = other.at(other_index);
  if (item.layer || other_item.layer) return false;
  SignalPoll poll;
  const bool same = with_file_errors([&] {
    const UnlockedScope unlocked;
    return quarrow::same_bytes(*source, *item.tensor, *other_source, *other_item.tensor, poll);
  });
  if (PyErr_Occurred() != nullptr) throw nb::python_error();
  return same;
}

ErrorSums OpenCheckpoint::compare(std::size_t index, const OpenCheckpoint& other,
                                  std::size_t other_index) const {
  const std::shared_ptr<const Checkpoint> source = files();
  const std::shared_ptr<const Checkpoint> other_source = other.files();
  const ValuesInFile original = values(*source, index);
  const ValuesInFile compared = other.values(*other_source, other_index);
  if (!std::ranges::equal(original.shape(), compared.shape())) {
    raise_invalid_input("the tensors have different shapes", name(index));
  }
  ErrorSums sums;
  SignalPoll poll;
  const Target target = target_in_use();
  const bool finished = with_file_errors([&] {
    const UnlockedScope unlocked;
    return compare_values(original, compared, target, poll, sums);
  });
  if (!finished) throw nb::python_error();
  return sums;
}

nb::dict OpenCheckpoint::metadata() const { return metadata_object(files()->tensors.metadata()); }

nb::list OpenCheckpoint::paths() const {
  nb::list paths;
  for (const CheckpointFile& file : files()->files) {
    paths.append(nb::bytes(file.file.path().data(), file.file.path().size()));
  }
  return paths;
}

}  // namespace quarrow::python

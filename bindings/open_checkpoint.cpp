// SPDX-License-Identifier: Apache-2.0
#include "open_checkpoint.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <bit>
#include <cmath>
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

constexpr std::string_view kMetadataKey = "__metadata__";

// Stands for data that nobody reads.
constexpr std::byte kNoData{};

// Whether a scale is a positive normal number of a 16-bit dtype, as the engine's all are.
bool is_scale_of(float scale, DType dtype) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(scale);
  if (dtype == DType::kBF16) {
    return std::isnormal(scale) && bits >> 31 == 0 && (bits & 0xFFFF) == 0;
  }
  return scale >= 0x1p-14F && scale <= 65504.0F && (bits & 0x1FFF) == 0;
}

// The engine's own tensors are; one of a caller's arrays may hold what files have no room for.
void check_storable(const QuantizedTensor& tensor, nb::handle name) {
  const LayerPlan& layer = tensor.layer();
  const QuantizedView parts = tensor.stored();
  const std::uint64_t count = layer.geometry.scales();
  const int bits = layer.format.spec->bits;
  for (std::uint64_t i = 0; parts.zero_points != nullptr && i < count; ++i) {
    if (parts.zero_points[i] >> bits == 0) continue;
    raise_invalid_input("zero point " + std::to_string(i) + " is " +
                            std::to_string(parts.zero_points[i]) + ", which " +
                            std::to_string(bits) + " bits cannot say",
                        name);
  }
  // Codes of a byte each are packed.
  const std::uint64_t codes = layer.format.packed || bits == 8 ? 0 : layer.code_bytes();
  const auto first_bit = static_cast<std::uint8_t>(layer.format.symmetric ? 1 << (bits - 1) : 0);
  for (std::uint64_t i = 0; i < codes; ++i) {
    // Signed ones count from -2^(bits - 1).
    const auto above = static_cast<std::uint8_t>(parts.codes[i] + first_bit);
    if (above >> bits == 0) continue;
    raise_invalid_input(
        "code " + std::to_string(i) + " is none of " + std::to_string(bits) + " bits", name);
  }
  const DType dtype = layer.format.scale_dtype;
  for (std::uint64_t i = 0; dtype != DType::kF32 && i < count; ++i) {
    if (is_scale_of(parts.scales[i], dtype)) continue;
    raise_invalid_input("scale " + std::to_string(i) + " is no normal positive number of " +
                            std::string(name_of(dtype)) + ", as which it would be stored",
                        name);
  }
}

// Of an array that is kept, and does not move. Whatever its type: no format is asked for.
std::span<const std::byte> bytes_of(nb::handle array) {
  Py_buffer buffer;
  if (PyObject_GetBuffer(array.ptr(), &buffer, PyBUF_SIMPLE) != 0) throw nb::python_error();
  const std::span<const std::byte> bytes(static_cast<const std::byte*>(buffer.buf),
                                         static_cast<std::size_t>(buffer.len));
  PyBuffer_Release(&buffer);
  return bytes;
}

}  // namespace

nb::str text_object(std::string_view text) { return nb::str(text.data(), text.size()); }

nb::tuple shape_object(std::span<const std::uint64_t> shape) {
  nb::list dimensions;
  for (const std::uint64_t dimension : shape) dimensions.append(dimension);
  return nb::tuple(dimensions);
}

nb::dict metadata_object(const std::optional<TensorTable::Metadata>& metadata) {
  nb::dict texts;
  if (metadata) {
    for (const auto& [key, value] : *metadata) texts[text_object(key)] = text_object(value);
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

OpenCheckpoint::OpenCheckpoint(const nb::list& tensors, const nb::dict& metadata) {
  std::vector<TensorInMemory> borrowed;
  std::vector<std::vector<std::uint64_t>> shapes;
  shapes.reserve(nb::len(tensors));
  for (const nb::handle each : tensors) {
    const auto name = nb::cast<std::string_view>(each[0]);
    if (name == kMetadataKey) {
      raise_invalid_input("no tensor can have this name, which stands for a file's metadata",
                          each[0]);
    }
    const auto dtype = stored_dtype_from_name(nb::cast<std::string_view>(each[1]));
    if (!dtype) raise_invalid_input("unknown dtype " + short_repr(each[1]), each[0]);
    std::vector<std::uint64_t>& shape = shapes.emplace_back();
    for (const nb::handle dimension : each[2]) shape.push_back(nb::cast<std::uint64_t>(dimension));
    const nb::object data = each[3];
    memory_.push_back(data);
    if (is_quantized_tensor(data)) {
      const auto& tensor = nb::cast<const QuantizedTensor&>(data);
      check_storable(tensor, each[0]);
      encoded_.resize(borrowed.size());
      encoded_.push_back({tensor.stored(), tensor.layer().format.packed});
      bool partial_byte = false;
      const std::uint64_t bytes = tensor_bytes(*dtype, shape, partial_byte).value_or(0);
      borrowed.push_back({name, *dtype, shape, {&kNoData, static_cast<std::size_t>(bytes)}});
      continue;
    }
    borrowed.push_back({name, *dtype, shape, bytes_of(data)});
  }
  if (!encoded_.empty()) encoded_.resize(borrowed.size());
  TensorTable::Metadata texts;
  for (const auto& [key, value] : metadata) {
    texts.emplace_back(nb::cast<std::string_view>(key), nb::cast<std::string_view>(value));
  }
  try {
    files_ = std::make_shared<Checkpoint>(checkpoint_in_memory(borrowed, texts));
  } catch (const std::invalid_argument&) {
    raise_invalid_input("the tensors have not the bytes of their shapes");
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
  memory_.clear();
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
    } else if (layer->codes == tensor) {
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
  with_file_errors([&] { source->check_dimensions(*layer.codes, layer.name, layer.shape); });
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

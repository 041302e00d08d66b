// SPDX-License-Identifier: Apache-2.0
#include "memory_tensors.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "element_types.h"
#include "errors.h"
#include "metrics.h"
#include "numpy_arrays.h"
#include "quantized_tensor.h"
#include "torch_tensors.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

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
  const QuantizedView stored = tensor.stored();
  const int bits = layer.format.spec->bits;
  const std::uint64_t zero_points = layer.encoding.bytes_of(Role::kZeroPoints);
  for (std::uint64_t i = 0; i < zero_points; ++i) {
    const auto value = std::to_integer<unsigned>(stored[Role::kZeroPoints][i]);
    if (value >> bits == 0) continue;
    raise_invalid_input("zero point " + std::to_string(i) + " is " + std::to_string(value) +
                            ", which " + std::to_string(bits) + " bits cannot say",
                        name);
  }
  // Codes of a byte each are packed.
  const std::uint64_t codes = layer.format.packed || bits == 8 ? 0 : layer.encoding.codes().bytes();
  const unsigned first_bit = layer.format.symmetric ? 1U << (bits - 1) : 0U;
  for (std::uint64_t i = 0; i < codes; ++i) {
    // Signed ones count from -2^(bits - 1).
    const auto code = std::to_integer<unsigned>(stored[Role::kCodes][i]);
    if ((code + first_bit) % 256 >> bits == 0) continue;
    raise_invalid_input(
        "code " + std::to_string(i) + " is none of " + std::to_string(bits) + " bits", name);
  }
  const DType dtype = layer.format.scale_dtype;
  const auto* scales = reinterpret_cast<const float*>(stored[Role::kScales]);
  const std::uint64_t count = layer.encoding.bytes_of(Role::kScales) / sizeof(float);
  for (std::uint64_t i = 0; dtype != DType::kF32 && i < count; ++i) {
    if (is_scale_of(scales[i], dtype)) continue;
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

bool is_part_of(std::span<const std::byte> part, std::span<const std::byte> whole) noexcept {
  const std::less_equal<> before;
  return before(whole.data(), part.data()) &&
         before(part.data() + part.size(), whole.data() + whole.size());
}

// Whether elements of a byte are bytes: torch exports its types of 1 to 7 bits as such.
bool fills_bytes(nb::handle tensor, const Torch& torch, ElementType dtype) {
  if (dtype != ElementType::kU8 && dtype != ElementType::kI8) return true;
  return tensor.attr("dtype").is(dtype == ElementType::kU8 ? torch.uint8 : torch.int8);
}

// A file's text is UTF-8, which lone surrogates are not.
std::string_view checked_name(nb::handle name) {
  Py_ssize_t bytes = 0;
  const char* text =
      PyUnicode_Check(name.ptr()) != 0 ? PyUnicode_AsUTF8AndSize(name.ptr(), &bytes) : nullptr;
  if (text == nullptr) {
    if (PyErr_Occurred() != nullptr && !is_refusal()) throw nb::python_error();
    raise_invalid_input("a name must be a str, not " + short_repr(name));
  }
  return {text, static_cast<std::size_t>(bytes)};
}

}  // namespace

MemoryTensors::MemoryTensors(nb::handle values, nb::handle read) {
  // nanobind makes a list of nothing where there is no memory for one.
  if (!names_.is_valid() || !values_.is_valid()) throw nb::python_error();
  for (const nb::handle each : values) {
    const nb::tuple item(nb::borrow(each));
    if (item.size() != 2) {
      raise_invalid_input(
          "state_dict must map names to arrays: its items are (name, array) pairs, " +
          ("not " + short_repr(item)));
    }
    const nb::object name = item[0];
    const nb::object value = item[1];
    const std::string_view text = checked_name(name);
    if (!add_array(value) && !add_torch(value)) {
      const nb::object facts = read(name, value);
      if (facts.is_none()) continue;
      if (nb::len(facts) != 4) throw std::logic_error("not the facts of a tensor");
      add_read(name, nb::cast<nb::tuple>(facts));
    }
    if (text == kMetadataKey) {
      raise_invalid_input("no tensor can have this name, which stands for a file's metadata", name);
    }
    tensors_.back().name = text;
    names_.append(name);
    values_.append(value);
  }
  if (!encoded_.empty()) encoded_.resize(tensors_.size());
  const std::uint64_t* first = dimensions_.data();
  for (TensorInMemory& tensor : tensors_) {
    tensor.shape = {first, tensor.shape.size()};
    first += tensor.shape.size();
  }
}

bool MemoryTensors::add_array(nb::handle value) {
  PlainArray array;
  if (!read_array(value, array)) return false;
  add(array.dtype, array.shape, array.bytes, nb::borrow(value));
  return true;
}

bool MemoryTensors::add_torch(nb::handle value) {
  const Torch* const torch = torch_of(value);
  if (torch == nullptr) return false;
  nb::object capsule = torch_capsule(value, *torch);
  if (!capsule.is_valid()) return false;
  const auto* exported =
      static_cast<const nb::dlpack::dltensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
  if (exported == nullptr) throw nb::python_error();
  const std::optional<ElementType> dtype = element_type_of(exported->dtype);
  if (!dtype || exported->device.device_type != nb::device::cpu::value) return false;
  // A conjugated tensor is exported as what lies in its memory, elements below a byte as bytes.
  if (dtype == ElementType::kC64 || !fills_bytes(value, *torch, *dtype)) return false;
  const std::span shape(exported->shape, static_cast<std::size_t>(exported->ndim));
  std::uint64_t elements = 1;
  bool in_order = true;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    in_order = in_order && (exported->strides == nullptr || shape[axis] == 1 ||
                            std::cmp_equal(exported->strides[axis], elements));
    elements *= static_cast<std::uint64_t>(shape[axis]);
  }
  const auto* first = static_cast<const std::byte*>(exported->data) + exported->byte_offset;
  const std::span bytes(first, elements * block_of(*dtype).bytes);
  if (!bytes.empty() && !(in_order && is_part_of(bytes, storage_of(value)))) return false;
  add(*dtype, shape, bytes, std::move(capsule));
  return true;
}

void MemoryTensors::add_read(nb::handle name, const nb::tuple& facts) {
  const auto dtype = element_type_from_name(nb::cast<std::string_view>(facts[0]));
  if (!dtype) raise_invalid_input("unknown dtype " + short_repr(nb::object(facts[0])), name);
  std::vector<std::int64_t> shape;
  for (const nb::handle dimension : nb::object(facts[1])) {
    shape.push_back(nb::cast<std::int64_t>(dimension));
  }
  const nb::object data = facts[2];
  if (CallRecord* record = CallRecord::current()) record->copied(nb::cast<std::uint64_t>(facts[3]));
  if (is_quantized_tensor(data)) {
    const auto& tensor = nb::cast<const QuantizedTensor&>(data);
    check_storable(tensor, name);
    encoded_.resize(tensors_.size());
    encoded_.push_back({tensor.stored(), tensor.layer().format.packed});
    const std::vector<std::uint64_t> sizes(shape.begin(), shape.end());
    bool partial_byte = false;
    const std::uint64_t bytes = tensor_bytes(*dtype, sizes, partial_byte).value_or(0);
    add(*dtype, shape, {&kNoData, static_cast<std::size_t>(bytes)}, data);
    return;
  }
  add(*dtype, shape, bytes_of(data), data);
}

void MemoryTensors::add(ElementType dtype, std::span<const std::int64_t> shape,
                        std::span<const std::byte> data, nb::object held) {
  dimensions_.insert(dimensions_.end(), shape.begin(), shape.end());
  // The dimensions may move until all are there.
  const std::span<const std::uint64_t> later(dimensions_.data(), shape.size());
  tensors_.push_back({{}, dtype, later, data});
  held_.push_back(std::move(held));
}

void MemoryTensors::release() {
  tensors_.clear();
  held_.clear();
  values_.clear();
}

}  // namespace quarrow::python

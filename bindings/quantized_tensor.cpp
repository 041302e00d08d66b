// SPDX-License-Identifier: Apache-2.0
#include "quantized_tensor.h"

#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <cstring>

#include "errors.h"
#include "output_memory.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

constexpr std::uint64_t kAlignment = 64;

constexpr std::uint64_t aligned(std::uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

bool same_bytes(const void* a, const void* b, std::uint64_t bytes) noexcept {
  return bytes == 0 || std::memcmp(a, b, bytes) == 0;
}

// Elements that share bytes, and blocks, lie in arrays of bytes.
bool is_bytes(ElementType type) noexcept { return block_of(type).elements != 1; }

// Of the elements of an array.
ElementType plain_type(ElementType type) noexcept {
  return is_bytes(type) ? ElementType::kU8 : type;
}

void copy_bytes(void* to, const void* from, std::uint64_t bytes) noexcept {
  if (bytes != 0) {
    std::memcpy(to, from, bytes);
  }
}

}  // namespace

QuantizedTensor::QuantizedTensor(const LayerPlan& layer, std::vector<std::int64_t> shape,
                                 nb::handle name)
    : layer_(layer), shape_(std::move(shape)), name_(nb::borrow(name)) {
  PerRole<std::uint64_t> begin;
  std::uint64_t end = 0;
  for (const PartSpec& part : layer.encoding.parts()) {
    begin[part.role] = aligned(end);
    end = begin[part.role] + part.bytes();
  }
  memory_ = memory_capsule(allocate_output(end));
  std::byte* const memory = memory_of(memory_).get();
  for (const PartSpec& part : layer.encoding.parts()) {
    parts_[part.role] = memory + begin[part.role];
  }
}

QuantizedTensor::QuantizedTensor(const LayerPlan& layer, std::vector<std::int64_t> shape,
                                 nb::handle name, const QuantizedSpan& outputs, nb::handle memory)
    : layer_(layer),
      shape_(std::move(shape)),
      name_(nb::borrow(name)),
      memory_(nb::borrow(memory)),
      parts_(outputs) {}

QuantizedTensor::QuantizedTensor(const LayerPlan& layer, std::vector<std::int64_t> shape,
                                 nb::handle name, const PerRole<nb::handle>& arrays, bool writable)
    : layer_(layer), shape_(std::move(shape)), name_(nb::borrow(name)), callers_arrays_(true) {
  for (const PartSpec& part : layer.encoding.parts()) {
    const ArrayShape sizes = array_shape(part);
    const ArraySpec spec{name_of(part.role),
                         plain_type(part_type(layer, part)),
                         {sizes.span().begin(), sizes.span().end()}};
    const nb::handle given = arrays[part.role];
    const nb::handle array = given.is_valid() ? given : nb::handle(Py_None);
    const ArrayMemory memory = array_argument(array, spec, name);
    if (writable) {
      output_argument(array, spec, name);
    }
    writable_ = writable_ && memory.writable;
    arrays_[part.role] = nb::borrow(array);
    parts_[part.role] = static_cast<std::byte*>(memory.data);
  }
  for (std::size_t i = 0; i < kRoles; ++i) {
    const auto role = static_cast<Role>(i);
    if (layer.encoding.find(role) == nullptr && arrays[role].is_valid() &&
        !arrays[role].is_none()) {
      raise_invalid_input(std::string(name_of(role)) + " must be None: this format has none", name);
    }
  }
  if (has_half_scales()) {
    half_scales_ = parts_[Role::kScales];
    memory_ = memory_capsule(allocate_output(layer.encoding.bytes_of(Role::kScales)));
    parts_[Role::kScales] = memory_of(memory_).get();
    nb::module_::import_("numpy").attr("copyto")(new_scales(), arrays_[Role::kScales]);
  }
}

bool QuantizedTensor::parts_overlap() const noexcept {
  const auto parts = memory();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (overlap(parts[i], parts[j])) {
        return true;
      }
    }
  }
  return false;
}

std::shared_ptr<std::byte> QuantizedTensor::owned_memory() const noexcept {
  return memory_.is_valid() ? memory_of(memory_) : nullptr;
}

std::array<std::span<const std::byte>, kRoles + 1> QuantizedTensor::memory() const noexcept {
  std::array<std::span<const std::byte>, kRoles + 1> spans;
  std::size_t count = 0;
  for (const PartSpec& part : layer_.encoding.parts()) {
    spans[count++] = {parts_[part.role], part.bytes()};
  }
  if (half_scales_ != nullptr) {
    spans[count] = {static_cast<const std::byte*>(half_scales_),
                    layer_.encoding.bytes_of(Role::kScales) / 2};
  }
  return spans;
}

bool has_half_scales(const LayerPlan& layer) noexcept {
  return layer.format.scale_dtype == DType::kF16;
}

bool is_quantized_tensor(nb::handle object) {
  return nb::isinstance<QuantizedTensor>(object) && nb::inst_ready(object);
}

bool overlap(std::span<const std::byte> a, std::span<const std::byte> b) noexcept {
  if (a.empty() || b.empty()) {
    return false;
  }
  const auto start = [](std::span<const std::byte> part) {
    return reinterpret_cast<std::uintptr_t>(part.data());
  };
  return start(a) < start(b) + b.size() && start(b) < start(a) + a.size();
}

ArrayShape array_shape(const PartSpec& part) noexcept {
  const auto rows = static_cast<std::int64_t>(part.rows);
  const auto columns =
      static_cast<std::int64_t>(is_bytes(part.type) ? part.row_bytes : part.columns());
  switch (part.role) {
    case Role::kTensorScale:
      return {{}, 0};
    case Role::kChannelScales:
      return {{rows}, 1};
    case Role::kCodebook:
      return {{columns}, 1};
    default:
      return {{rows, columns}, 2};
  }
}

ElementType part_type(const LayerPlan& layer, const PartSpec& part) noexcept {
  return part.role == Role::kScales && has_half_scales(layer) ? ElementType::kF16 : part.type;
}

nb::object QuantizedTensor::new_part(const PartSpec& part) {
  return new_array(parts_[part.role], plain_type(part.type), array_shape(part).span(), memory_);
}

std::uint64_t stored_bytes(const LayerPlan& layer) noexcept {
  std::uint64_t bytes = 0;
  for (const PartSpec& part : layer.encoding.parts()) bytes += part.bytes();
  return has_half_scales(layer) ? bytes - layer.encoding.bytes_of(Role::kScales) / 2 : bytes;
}

nb::object QuantizedTensor::array(Role role) {
  const PartSpec* part = layer_.encoding.find(role);
  if (part == nullptr) {
    return nb::none();
  }
  nb::object& array = arrays_[role];
  if (!array.is_valid()) {
    array = new_part(*part);
    if (role == Role::kScales && has_half_scales()) {
      array = array.attr("astype")("float16");
      // A write to this copy would not reach the tensor.
      array.attr("setflags")(nb::arg("write") = false);
    }
  }
  return array;
}

nb::object QuantizedTensor::callers_arrays() const {
  if (!callers_arrays_) {
    return nb::none();
  }
  nb::list held;
  for (const nb::object& array : arrays_.items) {
    if (array.is_valid()) {
      held.append(array);
    }
  }
  return held;
}

bool QuantizedTensor::written() {
  if (!has_half_scales()) {
    return false;
  }
  if (!callers_arrays_) {
    arrays_[Role::kScales].reset();
    return false;
  }
  nb::module_::import_("numpy").attr("copyto")(arrays_[Role::kScales], new_scales(),
                                               nb::arg("casting") = "same_kind");
  return true;
}

void QuantizedTensor::describe(nb::handle name, DType dtype, const CallStats& stats) {
  name_ = nb::borrow(name);
  layer_.dtype = dtype;
  stats_ = stats;
}

int QuantizedTensor::traverse(visitproc visit, void* argument) const noexcept {
  const auto reach = [&](const nb::object& held) {
    return held.is_valid() ? visit(held.ptr(), argument) : 0;
  };
  if (const int stop = reach(name_)) return stop;
  for (const nb::object& array : arrays_.items) {
    if (const int stop = reach(array)) return stop;
  }
  return 0;
}

QuantizedTensor QuantizedTensor::copy() const {
  QuantizedTensor result(layer_, shape_, name_);
  for (const PartSpec& part : layer_.encoding.parts()) {
    copy_bytes(result.parts_[part.role], parts_[part.role], part.bytes());
  }
  result.stats_ = stats_;
  return result;
}

bool QuantizedTensor::same_values(const QuantizedTensor& other) const noexcept {
  const auto same_part = [&](const PartSpec& part) {
    return same_bytes(parts_[part.role], other.parts_[part.role], part.bytes());
  };
  return layer_.format == other.layer_.format && layer_.dtype == other.layer_.dtype &&
         shape_ == other.shape_ && std::ranges::all_of(layer_.encoding.parts(), same_part);
}

nb::object call_stats(const CallStats& stats) {
  return nb::module_::import_("quarrow.descriptions")
      .attr("CallStats")(
          "bytes_in"_a = stats.bytes_in, "bytes_out"_a = stats.bytes_out,
          "bytes_copied"_a = stats.bytes_copied, "view_seconds"_a = stats.view_seconds,
          "alloc_seconds"_a = stats.alloc_seconds, "core_seconds"_a = stats.core_seconds,
          "export_seconds"_a = stats.export_seconds, "total_seconds"_a = stats.total_seconds,
          "threads"_a = stats.threads, "isa"_a = stats.isa);
}

nb::object error_stats(const ErrorSums& sums) {
  return nb::module_::import_("quarrow.descriptions")
      .attr("ErrorStats")("max_abs"_a = sums.max_abs, "rmse"_a = sums.rmse(),
                          "sqnr_db"_a = sums.sqnr_db(), "cosine"_a = sums.cosine());
}

nb::object numpy_dtype(DType dtype) {
  if (dtype == DType::kBF16) {
    if (has_ml_dtypes()) {
      return nb::module_::import_("numpy").attr("dtype")(
          nb::module_::import_("ml_dtypes").attr("bfloat16"));
    }
    return nb::module_::import_("numpy").attr("dtype")("uint16");
  }
  return nb::module_::import_("numpy").attr("dtype")(name_of(dtype));
}

}  // namespace quarrow::python

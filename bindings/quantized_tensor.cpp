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

void copy_bytes(void* to, const void* from, std::uint64_t bytes) noexcept {
  if (bytes != 0) {
    std::memcpy(to, from, bytes);
  }
}

}  // namespace

QuantizedTensor::QuantizedTensor(const LayerPlan& layer, std::vector<std::int64_t> shape,
                                 nb::handle name)
    : layer_(layer), shape_(std::move(shape)), name_(nb::borrow(name)) {
  const std::uint64_t scale_count = layer.geometry.scales();
  const std::uint64_t scales_at = aligned(layer.code_bytes());
  const std::uint64_t zero_points_at = scales_at + aligned(scale_count * sizeof(float));
  memory_ = memory_capsule(
      allocate_output(zero_points_at + (layer.geometry.zero_points ? scale_count : 0)));
  std::byte* const memory = memory_of(memory_).get();
  codes_ = reinterpret_cast<std::uint8_t*>(memory);
  scales_ = reinterpret_cast<float*>(memory + scales_at);
  if (layer.geometry.zero_points) {
    zero_points_ = reinterpret_cast<std::uint8_t*>(memory + zero_points_at);
  }
}

QuantizedTensor::QuantizedTensor(const LayerPlan& layer, std::vector<std::int64_t> shape,
                                 nb::handle name, const QuantizedSpan& outputs, nb::handle memory)
    : layer_(layer),
      shape_(std::move(shape)),
      name_(nb::borrow(name)),
      memory_(nb::borrow(memory)),
      codes_(outputs.codes),
      scales_(outputs.scales),
      zero_points_(outputs.zero_points) {}

QuantizedTensor::QuantizedTensor(const LayerPlan& layer, std::vector<std::int64_t> shape,
                                 nb::handle name, nb::handle codes, nb::handle scales,
                                 nb::handle zero_points, bool writable)
    : layer_(layer), shape_(std::move(shape)), name_(nb::borrow(name)) {
  const auto take = [&](nb::handle array, std::string_view role, ElementType type, Shape sizes,
                        nb::object& held) {
    const ArraySpec spec{role, type, {sizes.begin(), sizes.end()}};
    const ArrayMemory memory = array_argument(array, spec, name);
    if (writable) {
      output_argument(array, spec, name);
    }
    writable_ = writable_ && memory.writable;
    held = nb::borrow(array);
    return memory.data;
  };
  codes_ =
      static_cast<std::uint8_t*>(take(codes, "codes", codes_type(), codes_shape(), codes_array_));
  void* scale_data =
      take(scales, "scales", has_half_scales() ? ElementType::kF16 : ElementType::kF32,
           scales_shape(), scales_array_);
  callers_scales_ = true;
  if (has_half_scales()) {
    memory_ = memory_capsule(allocate_output(layer.geometry.scales() * sizeof(float)));
    scales_ = reinterpret_cast<float*>(memory_of(memory_).get());
    nb::module_::import_("numpy").attr("copyto")(new_scales(), scales_array_);
    half_scales_ = scale_data;
  } else {
    scales_ = static_cast<float*>(scale_data);
  }
  if (layer.geometry.zero_points) {
    zero_points_ = static_cast<std::uint8_t*>(
        take(zero_points, "zero_points", ElementType::kU8, scales_shape(), zero_points_array_));
  } else if (!zero_points.is_none()) {
    raise_invalid_input("zero_points must be None: this format has none", name);
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

std::array<std::span<const std::byte>, 4> QuantizedTensor::memory() const noexcept {
  const std::uint64_t scales = layer_.geometry.scales();
  const auto part = [](const void* data, std::uint64_t bytes) {
    return std::span(static_cast<const std::byte*>(data), data == nullptr ? 0 : bytes);
  };
  return {part(codes_, layer_.code_bytes()), part(scales_, scales * sizeof(float)),
          part(zero_points_, scales), part(half_scales_, scales * sizeof(std::uint16_t))};
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

QuantizedTensor::Shape QuantizedTensor::codes_shape() const noexcept {
  return {static_cast<std::int64_t>(layer_.rows),
          static_cast<std::int64_t>(layer_.geometry.code_row_bytes)};
}

QuantizedTensor::Shape QuantizedTensor::scales_shape() const noexcept {
  return {static_cast<std::int64_t>(layer_.geometry.scale_rows),
          static_cast<std::int64_t>(layer_.geometry.groups)};
}

ElementType QuantizedTensor::codes_type() const noexcept {
  return layer_.geometry.signed_codes ? ElementType::kI8 : ElementType::kU8;
}

nb::object QuantizedTensor::new_scales() {
  return new_array(scales_, ElementType::kF32, scales_shape(), memory_);
}

std::uint64_t stored_bytes(const LayerPlan& layer) noexcept {
  const std::uint64_t scale_bytes = layer.format.scale_dtype == DType::kF16 ? 2 : sizeof(float);
  return layer.code_bytes() +
         layer.geometry.scales() * (scale_bytes + (layer.geometry.zero_points ? 1 : 0));
}

nb::object QuantizedTensor::codes() {
  if (!codes_array_.is_valid()) {
    codes_array_ = new_array(codes_, codes_type(), codes_shape(), memory_);
  }
  return codes_array_;
}

nb::object QuantizedTensor::scales() {
  if (!scales_array_.is_valid()) {
    scales_array_ = new_scales();
    if (has_half_scales()) {
      scales_array_ = scales_array_.attr("astype")("float16");
      // A write to this copy would not reach the tensor.
      scales_array_.attr("setflags")(nb::arg("write") = false);
    }
  }
  return scales_array_;
}

nb::object QuantizedTensor::zero_points() {
  if (!layer_.geometry.zero_points) {
    return nb::none();
  }
  if (!zero_points_array_.is_valid()) {
    zero_points_array_ = new_array(zero_points_, ElementType::kU8, scales_shape(), memory_);
  }
  return zero_points_array_;
}

nb::object QuantizedTensor::callers_arrays() const {
  if (!callers_scales_) {
    return nb::none();
  }
  const auto given = [](const nb::object& array) { return array.is_valid() ? array : nb::none(); };
  return nb::make_tuple(given(codes_array_), given(scales_array_), given(zero_points_array_));
}

bool QuantizedTensor::written() {
  if (!has_half_scales()) {
    return false;
  }
  if (!callers_scales_) {
    scales_array_.reset();
    return false;
  }
  nb::module_::import_("numpy").attr("copyto")(scales_array_, new_scales(),
                                               nb::arg("casting") = "same_kind");
  return true;
}

void QuantizedTensor::describe(nb::handle name, DType dtype, const CallStats& stats) {
  name_ = nb::borrow(name);
  layer_.dtype = dtype;
  stats_ = stats;
}

int QuantizedTensor::traverse(visitproc visit, void* argument) const noexcept {
  for (const nb::object* held : {&name_, &codes_array_, &scales_array_, &zero_points_array_}) {
    if (!held->is_valid()) continue;
    if (const int stop = visit(held->ptr(), argument)) return stop;
  }
  return 0;
}

QuantizedTensor QuantizedTensor::copy() const {
  QuantizedTensor result(layer_, shape_, name_);
  copy_bytes(result.codes_, codes_, layer_.code_bytes());
  copy_bytes(result.scales_, scales_, layer_.geometry.scales() * sizeof(float));
  if (layer_.geometry.zero_points) {
    copy_bytes(result.zero_points_, zero_points_, layer_.geometry.scales());
  }
  result.stats_ = stats_;
  return result;
}

bool QuantizedTensor::same_values(const QuantizedTensor& other) const noexcept {
  return layer_.format == other.layer_.format && layer_.dtype == other.layer_.dtype &&
         shape_ == other.shape_ && same_bytes(codes_, other.codes_, layer_.code_bytes()) &&
         same_bytes(scales_, other.scales_, layer_.geometry.scales() * sizeof(float)) &&
         same_bytes(zero_points_, other.zero_points_,
                    layer_.geometry.zero_points ? layer_.geometry.scales() : 0);
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

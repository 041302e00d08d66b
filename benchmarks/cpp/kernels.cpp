// SPDX-License-Identifier: Apache-2.0
//
// The engine on one thread or several, on any instruction set of this machine, without Python.
// Loaded with ctypes. Every format of the registry is there by itself.
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "quarrow/quantize/execute.h"
#include "quarrow/quantize/format_fields.h"
#include "quarrow/quantize/plan.h"

namespace {

using namespace quarrow;

constexpr std::size_t kCols = 4096;
constexpr std::size_t kCacheLine = 64;
constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kF64};

struct Variant {
  std::string name;
  Format format;
};

// "int4_g128", "int8_row", "q8_0".
std::string name_of_variant(const Format& format) {
  std::string name(format.spec->name);
  if (has_field(*format.spec, FormatField::kGroupSize)) {
    name += format.group_size.kind == GroupSize::Kind::kRow
                ? "_row"
                : "_g" + std::to_string(format.group_size.columns);
    if (format.symmetric) name += "_symmetric";
  }
  if (!format.scaled) name += "_cast";
  return name;
}

const std::vector<Variant>& variants() {
  static const std::vector<Variant> all = [] {
    std::vector<Variant> made;
    const auto add = [&](const Format& format) {
      made.push_back({name_of_variant(format), format});
    };
    for (const FormatSpec& spec : registry()) {
      Format format = default_format(spec);
      add(format);
      if (spec.name == std::string_view("int4")) {
        format.symmetric = true;
        add(format);
        format = default_format(spec);
        format.group_size = GroupSize::of(32);
        add(format);
      }
    }
    return made;
  }();
  return all;
}

const Plan& plan_of(std::size_t which, std::size_t type, std::size_t rows) {
  static std::map<std::tuple<std::size_t, std::size_t, std::size_t>, Plan> plans;
  const auto [found, is_new] = plans.try_emplace({which, type, rows});
  if (is_new) {
    LayerRequest request;
    request.view = {.dtype = kTypes[type], .rows = rows, .cols = kCols};
    request.format = variants()[which].format;
    found->second = make_plan({&request, 1});
  }
  return found->second;
}

// The parts of the layer, each on a cache line, and the bytes of all.
std::size_t place(const Plan& plan, std::byte* memory, QuantizedSpan& parts) {
  std::size_t end = 0;
  for (const PartSpec& part : plan.layers[0].encoding.parts()) {
    parts[part.role] = memory + end;
    end += (part.bytes() + kCacheLine - 1) / kCacheLine * kCacheLine;
  }
  return end;
}

Context context_of(std::size_t where, std::size_t threads) {
  return {.target = runnable_targets()[where], .threads = threads};
}

}  // namespace

// Names with a blank behind each; of targets those of this machine, the best first.
extern "C" const char* quarrow_kernels_formats() {
  static std::string names;
  if (names.empty()) {
    for (const Variant& variant : variants()) names.append(variant.name) += ' ';
  }
  return names.c_str();
}

extern "C" const char* quarrow_kernels_targets() {
  static std::string names;
  if (names.empty()) {
    for (const Target target : runnable_targets()) names.append(name_of(target)) += ' ';
  }
  return names.c_str();
}

// Bytes of a layer of rows of kCols values; a format by its place in the list, a type by that in
// kTypes.
extern "C" std::size_t quarrow_kernels_bytes(std::size_t which, std::size_t type,
                                             std::size_t rows) {
  QuantizedSpan parts;
  return place(plan_of(which, type, rows), nullptr, parts);
}

// Quantizes such rows to `parts`, of so many bytes. False: it failed.
extern "C" bool quarrow_kernels_quantize(std::size_t which, std::size_t where, std::size_t type,
                                         const std::byte* data, std::size_t rows, std::byte* parts,
                                         std::size_t threads) {
  const Plan& plan = plan_of(which, type, rows);
  QuantizedSpan output;
  place(plan, parts, output);
  const TensorView input{
      .data = data,
      .dtype = kTypes[type],
      .rows = rows,
      .cols = kCols,
      .row_stride_bytes = static_cast<std::ptrdiff_t>(kCols * size_of(kTypes[type]))};
  Status status;
  return quantize(plan, {&input, 1}, {&output, 1}, NonFinitePolicy::kRaise,
                  context_of(where, threads), {&status, 1})
      .ok();
}

// And back, to f32.
extern "C" bool quarrow_kernels_dequantize(std::size_t which, std::size_t where, std::size_t type,
                                           std::byte* values, std::size_t rows, std::byte* parts,
                                           std::size_t threads) {
  const Plan& plan = plan_of(which, type, rows);
  QuantizedSpan stored;
  place(plan, parts, stored);
  const QuantizedView input = view_of(stored);
  const DequantizedSpan output{values, DType::kF32};
  return dequantize(plan, {&input, 1}, {&output, 1}, context_of(where, threads)).ok();
}

// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints made in memory, and the engine's own result for their tensors.
#pragma once

#include <cstring>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "containers/test_files.h"
#include "quantize/part_memory.h"
#include "quarrow/core/context.h"
#include "quarrow/core/element_type.h"
#include "quarrow/layouts/stored_layer.h"
#include "quarrow/quantize/execute.h"
#include "quarrow/quantize/format.h"
#include "quarrow/quantize/plan.h"

namespace quarrow {

struct TestTensor {
  std::string name;
  ElementType dtype;
  std::vector<std::int64_t> shape;
  std::string data;
};

struct TestCheckpoint {
  std::vector<TestTensor> tensors;
  std::vector<std::pair<std::string, std::string>> metadata;

  void add(std::string_view name, ElementType dtype, std::vector<std::int64_t> shape,
           std::string_view data) {
    tensors.push_back({std::string(name), dtype, std::move(shape), std::string(data)});
  }

  // Finite values of about 1, the same ones for the same name.
  void add_random(std::string_view name, ElementType dtype, std::vector<std::int64_t> shape) {
    std::minstd_rand random(static_cast<unsigned>(name.size() + tensors.size() * 977 + 1));
    std::size_t elements = 1;
    for (const std::int64_t dimension : shape) elements *= static_cast<std::size_t>(dimension);
    std::string data;
    for (std::size_t index = 0; index < elements; ++index) {
      const float value = static_cast<float>(random()) / 1.0e9F - 1.0F;
      append(data, dtype, value);
    }
    add(name, dtype, std::move(shape), data);
  }

  // Replaces one element of an f32 tensor.
  void set(std::string_view name, std::size_t index, float value) {
    for (TestTensor& tensor : tensors) {
      if (tensor.name == name) std::memcpy(tensor.data.data() + 4 * index, &value, 4);
    }
  }

  const TestTensor* find(std::string_view name) const {
    for (const TestTensor& tensor : tensors) {
      if (tensor.name == name) return &tensor;
    }
    throw std::out_of_range(std::string(name));
  }

  std::string bytes() const {
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
    std::string data;
    for (const TestTensor& tensor : tensors) {
      header[tensor.name] = {{"dtype", name_of(tensor.dtype)},
                             {"shape", tensor.shape},
                             {"data_offsets", {data.size(), data.size() + tensor.data.size()}}};
      data += tensor.data;
    }
    return safetensors_bytes(header.dump(), data);
  }

 private:
  static void append(std::string& data, ElementType dtype, float value) {
    if (dtype == ElementType::kF64) {
      const double wide = value;
      data.append(reinterpret_cast<const char*>(&wide), sizeof(wide));
      return;
    }
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof(bits));
    if (dtype == ElementType::kF16) bits = 0x3000'0000U | (bits & 0x87ff'0000U);  // 0.125 to 1
    const std::size_t dropped = dtype == ElementType::kF32 ? 0 : 2;
    data.append(reinterpret_cast<const char*>(&bits) + dropped, sizeof(bits) - dropped);
  }
};

// One tensor, quantized by quarrow::quantize.
class InMemory {
 public:
  InMemory(const Format& format, const TestTensor& tensor, const Context& context,
           NonFinitePolicy policy = NonFinitePolicy::kRaise)
      : context_(context),
        view_(matrix_view(tensor.data.data(), *float_dtype(tensor.dtype), tensor.shape)) {
    const LayerRequest request{view_, format, tensor.name};
    plan_ = make_plan({&request, 1});
    memory_.emplace(plan_.layers[0]);
    const QuantizedSpan output = memory_->span();
    Status status;
    if (!quantize(plan_, {&view_, 1}, {&output, 1}, policy, context, {&status, 1}).ok()) {
      throw std::runtime_error("not quantized: " + tensor.name);
    }
  }

  std::string codes() const { return memory_->text(Role::kCodes); }
  std::string scales() const { return memory_->text(Role::kScales); }
  ErrorSums errors() {
    const QuantizedView stored = memory_->view();
    ErrorSums sums;
    measure_error(plan_, {&view_, 1}, {&stored, 1}, {&sums, 1}, context_);
    return sums;
  }

 private:
  const Context& context_;
  TensorView view_;
  Plan plan_;
  std::optional<PartMemory> memory_;
};

// For plans, which borrow from them: they live as long as the program.
inline const StoredLayers& stored_layers_of(const Checkpoint& source) {
  static std::deque<StoredLayers> all;
  return all.emplace_back(find_stored_layers(source));
}

}  // namespace quarrow

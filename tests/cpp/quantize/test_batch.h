// SPDX-License-Identifier: Apache-2.0
//
// Matrices of normal values, quantized together.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "quarrow/quantize/execute.h"

namespace quarrow {

struct Stored {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
  std::vector<std::uint8_t> zero_points;

  // 0xAA in codes and zero points, -1 in scales.
  explicit Stored(const LayerPlan& layer)
      : codes(layer.encoding.codes().bytes(), 0xAA),
        scales(layer.encoding.bytes_of(Role::kScales) / sizeof(float), -1.0F),
        zero_points(layer.encoding.bytes_of(Role::kZeroPoints), 0xAA) {}

  QuantizedSpan span() {
    QuantizedSpan parts;
    parts[Role::kCodes] = reinterpret_cast<std::byte*>(codes.data());
    parts[Role::kScales] = reinterpret_cast<std::byte*>(scales.data());
    parts[Role::kZeroPoints] = reinterpret_cast<std::byte*>(zero_points.data());
    return parts;
  }
  QuantizedView view() const {
    QuantizedView parts;
    parts[Role::kCodes] = reinterpret_cast<const std::byte*>(codes.data());
    parts[Role::kScales] = reinterpret_cast<const std::byte*>(scales.data());
    parts[Role::kZeroPoints] = reinterpret_cast<const std::byte*>(zero_points.data());
    return parts;
  }
  friend bool operator==(const Stored&, const Stored&) = default;
};

// Matrices of one batch, with the plan that quantizes them.
class Batch {
 public:
  void add(Format format, std::uint64_t rows, std::uint64_t cols, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0F, 0.02F);
    auto& values = values_.emplace_back(rows * cols);
    for (float& value : values) value = normal(random);
    formats_.push_back(format);
    views_.push_back({.data = values.data(),
                      .dtype = DType::kF32,
                      .rows = rows,
                      .cols = cols,
                      .row_stride_bytes = static_cast<std::ptrdiff_t>(cols * sizeof(float))});
  }

  std::vector<float>& values(std::size_t layer) { return values_[layer]; }
  const std::vector<TensorView>& views() const { return views_; }
  const std::vector<Status>& statuses() const { return statuses_; }

  Plan plan() const {
    std::vector<LayerRequest> requests;
    for (std::size_t i = 0; i < views_.size(); ++i)
      requests.push_back({views_[i], formats_[i], ""});
    return make_plan(requests);
  }

  std::vector<Stored> run(const Context& context, NonFinitePolicy policy = NonFinitePolicy::kRaise,
                          LayerProgress* progress = nullptr) {
    const Plan made = plan();
    std::vector<Stored> stored;
    for (const LayerPlan& layer : made.layers) stored.emplace_back(layer);
    std::vector<QuantizedSpan> spans;
    for (Stored& one : stored) spans.push_back(one.span());
    statuses_.assign(made.layers.size(), {});
    status_ = quantize(made, views_, spans, policy, context, statuses_, progress);
    return stored;
  }
  Status status() const { return status_; }

 private:
  std::vector<std::vector<float>> values_;
  std::vector<TensorView> views_;
  std::vector<Format> formats_;
  std::vector<Status> statuses_;
  Status status_;
};

inline Format format(const char* name, GroupSize group) {
  Format format = default_format(*find_format(name));
  format.group_size = group;
  return format;
}

inline Batch mixed_batch() {
  constexpr std::uint64_t kColumns = kTileBytes / sizeof(float);
  Batch batch;
  batch.add(format("int4", GroupSize::of(128)), 300, 1000, 1);
  batch.add(format("int8", GroupSize::row()), 2, kColumns * 2 + 77, 2);
  batch.add(format("int2", GroupSize::tensor()), 700, 333, 3);
  batch.add(format("int8_rowwise", GroupSize::row()), 5, 64, 4);
  batch.add(format("int4", GroupSize::of(kColumns * 2)), 1, kColumns * 5, 5);
  batch.add(format("int4", GroupSize::of(kColumns + 1)), 1, kColumns * 3, 6);
  batch.add(format("int8", GroupSize::row()), 3, 0, 7);
  return batch;
}

inline Context context(std::size_t threads, Executor& executor = default_executor()) {
  return {.executor = &executor, .target = runnable_targets().front(), .threads = threads};
}

}  // namespace quarrow

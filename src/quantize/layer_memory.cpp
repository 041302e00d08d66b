// SPDX-License-Identifier: Apache-2.0
#include "quarrow/quantize/layer_memory.h"

#include <new>

#include "quarrow/core/output_memory.h"

namespace quarrow {
namespace {

// A layer that is kept keeps its whole slab; this bounds what that can cost.
constexpr std::uint64_t kSlabBytes = std::uint64_t{32} << 20;

// What several layers take together.
struct SlabSize {
  std::uint64_t codes = 0;
  std::uint64_t scales = 0;       // in floats
  std::uint64_t zero_points = 0;  // in bytes

  void add(const LayerPlan& layer) {
    codes = checked(codes, layer.code_bytes());
    scales = checked(scales, layer.geometry.scales());
    zero_points = checked(zero_points, layer.geometry.zero_points ? layer.geometry.scales() : 0);
  }
  std::uint64_t scales_at() const { return (codes + kCacheLine - 1) / kCacheLine * kCacheLine; }
  std::uint64_t zero_points_at() const { return scales_at() + scales * sizeof(float); }
  std::uint64_t bytes() const { return zero_points_at() + zero_points; }

 private:
  static constexpr std::uint64_t kCacheLine = 64;

  // The sizes are what callers claim of views that may repeat one row for ever.
  static std::uint64_t checked(std::uint64_t sum, std::uint64_t more) {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 56;
    if (more > kMost || sum + more > kMost) throw std::bad_alloc();
    return sum + more;
  }
};

}  // namespace

LayerMemory::LayerMemory(const Plan& plan, std::uint64_t own_from)
    : spans_(plan.layers.size()), owner_(plan.layers.size()) {
  std::vector<std::size_t> slab;
  std::uint64_t slab_bytes = 0;
  const auto flush = [&] {
    if (!slab.empty()) lay_out(plan, slab);
    slab.clear();
    slab_bytes = 0;
  };
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const std::uint64_t bytes = plan.layers[i].code_bytes();
    if (bytes >= own_from) {
      lay_out(plan, {&i, 1});
      continue;
    }
    if (own_from != kOneSlab && slab_bytes + bytes > kSlabBytes) flush();
    slab.push_back(i);
    slab_bytes += bytes;
  }
  flush();
}

void LayerMemory::lay_out(const Plan& plan, std::span<const std::size_t> layers) {
  SlabSize size;
  for (const std::size_t i : layers) size.add(plan.layers[i]);
  owners_.push_back(allocate_output(size.bytes()));
  std::byte* const memory = owners_.back().get();
  auto* codes = reinterpret_cast<std::uint8_t*>(memory);
  auto* scales = reinterpret_cast<float*>(memory + size.scales_at());
  auto* zero_points = reinterpret_cast<std::uint8_t*>(memory + size.zero_points_at());
  for (const std::size_t i : layers) {
    const LayerPlan& layer = plan.layers[i];
    owner_[i] = static_cast<std::uint32_t>(owners_.size() - 1);
    spans_[i] = {.codes = codes,
                 .scales = scales,
                 .zero_points = layer.geometry.zero_points ? zero_points : nullptr};
    codes += layer.code_bytes();
    scales += layer.geometry.scales();
    if (layer.geometry.zero_points) zero_points += layer.geometry.scales();
  }
}

}  // namespace quarrow

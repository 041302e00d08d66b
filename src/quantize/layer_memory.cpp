// SPDX-License-Identifier: Apache-2.0
#include "quarrow/quantize/layer_memory.h"

#include <new>

#include "core/checked_math.h"
#include "quarrow/core/output_memory.h"

namespace quarrow {
namespace {

// A layer that is kept keeps its whole slab; this bounds what that can cost.
constexpr std::uint64_t kSlabBytes = std::uint64_t{32} << 20;

constexpr std::uint64_t kCacheLine = 64;

// The sizes are what callers claim of views that may repeat one row for ever.
std::uint64_t checked(std::uint64_t sum, std::uint64_t more) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 56;
  if (more > kMost || sum + more > kMost) throw std::bad_alloc();
  return sum + more;
}

// Where a part of the next layer begins behind those of the layers before.
std::uint64_t part_begin(std::uint64_t end, const PartSpec& part) {
  return round_up(end, alignment_of(part.type));
}

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
    const std::uint64_t bytes = plan.layers[i].encoding.codes().bytes();
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
  PerRole<std::uint64_t> at;  // at first the bytes of each, then where the next layer's begin
  for (const std::size_t i : layers) {
    for (const PartSpec& part : plan.layers[i].encoding.parts()) {
      at[part.role] = checked(part_begin(at[part.role], part), part.bytes());
    }
  }
  std::uint64_t end = 0;
  for (std::uint64_t& bytes : at.items) {
    const std::uint64_t begin = round_up(end, kCacheLine);
    end = checked(begin, bytes);
    bytes = begin;
  }
  owners_.push_back(allocate_output(end));
  std::byte* const memory = owners_.back().get();
  for (const std::size_t i : layers) {
    owner_[i] = static_cast<std::uint32_t>(owners_.size() - 1);
    for (const PartSpec& part : plan.layers[i].encoding.parts()) {
      const std::uint64_t begin = part_begin(at[part.role], part);
      spans_[i][part.role] = memory + begin;
      at[part.role] = begin + part.bytes();
    }
  }
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// Output memory for the layers of one plan.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "quarrow/quantize/execute.h"
#include "quarrow/quantize/plan.h"

namespace quarrow {

// The outputs of every layer of a plan. Small layers lie in slabs of up to 32 MB of codes: the
// codes of a slab's layers back to back in the order of the plan, then their scales, then their
// zero points; so a run of them is one Arrow array as it lies. A large layer has memory of its own,
// which does not outlive it for the sake of others. Copies share the memory, which lives until the
// last of them and of its owners is gone.
class LayerMemory {
 public:
  // From how many bytes of codes on a layer is large; without a limit there is one slab.
  static constexpr std::uint64_t kOwnFrom = std::uint64_t{4} << 20;
  static constexpr std::uint64_t kOneSlab = std::numeric_limits<std::uint64_t>::max();

  LayerMemory() = default;
  // Uninitialised. Throws std::bad_alloc.
  explicit LayerMemory(const Plan& plan, std::uint64_t own_from = kOwnFrom);

  std::span<const QuantizedSpan> spans() const noexcept { return spans_; }
  // Keeps the layer's memory alive.
  const std::shared_ptr<std::byte>& owner(std::size_t layer) const {
    return owners_[owner_[layer]];
  }
  // The same by number, for what is made of each once.
  std::span<const std::shared_ptr<std::byte>> owners() const noexcept { return owners_; }
  std::size_t owner_index(std::size_t layer) const { return owner_[layer]; }

 private:
  void lay_out(const Plan& plan, std::span<const std::size_t> layers);

  std::vector<QuantizedSpan> spans_;
  std::vector<std::uint32_t> owner_;  // of each layer, in owners_
  std::vector<std::shared_ptr<std::byte>> owners_;
};

}  // namespace quarrow

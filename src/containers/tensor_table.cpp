// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/tensor_table.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <tuple>

namespace quarrow {
namespace {

std::string_view ending_of(std::string_view name) noexcept {
  return name.substr(name.rfind('.') + 1);  // npos + 1 is 0
}

}  // namespace

std::optional<std::uint64_t> tensor_bytes(ElementType dtype, std::span<const std::uint64_t> shape,
                                          bool& partial_byte) noexcept {
  constexpr std::uint64_t kMaxBits = std::numeric_limits<std::int64_t>::max();
  partial_byte = false;
  const ElementBlock block = block_of(dtype);
  const std::uint64_t most_elements = kMaxBits / (8 * block.bytes) * block.elements;
  std::uint64_t elements = 1;
  bool empty = false;
  for (const std::uint64_t dimension : shape) {
    empty = empty || dimension == 0;
    const std::uint64_t factor = std::max<std::uint64_t>(dimension, 1);
    if (factor > most_elements / elements) return std::nullopt;
    elements *= factor;
  }
  // ggml's blocks end with their row, be there one or none.
  const std::uint64_t row = shape.empty() ? 1 : shape.back();
  const std::uint64_t filled = is_ggml_block(dtype) ? row : empty ? 0 : elements;
  partial_byte = filled % block.elements != 0;
  if (partial_byte) return std::nullopt;
  if (empty) return 0;
  return elements / block.elements * block.bytes;
}

TensorTable::TensorTable() : memory_(std::make_unique<std::pmr::monotonic_buffer_resource>()) {}

const TensorEntry* TensorTable::first_from(std::string_view name) const noexcept {
  const auto below = [this](std::uint32_t index, std::string_view key) {
    return entries_[index].name < key;
  };
  const auto found = std::lower_bound(by_name_.begin(), by_name_.end(), name, below);
  return found == by_name_.end() ? nullptr : &entries_[*found];
}

const TensorEntry* TensorTable::find(std::string_view name) const noexcept {
  if (!std::ranges::binary_search(endings_, ending_of(name))) return nullptr;
  const TensorEntry* const entry = first_from(name);
  return entry != nullptr && entry->name == name ? entry : nullptr;
}

const TensorEntry* TensorTable::name_twice() const noexcept {
  const auto name = [this](std::uint32_t index) { return entries_[index].name; };
  const auto found = std::ranges::adjacent_find(by_name_, {}, name);
  return found == by_name_.end() ? nullptr : &entries_[*found];
}

bool TensorTable::has_prefix(std::string_view prefix) const noexcept {
  const TensorEntry* const entry = first_from(prefix);
  return entry != nullptr && entry->name.starts_with(prefix);
}

void TensorTable::reserve(std::size_t entries) { entries_.reserve(entries); }

std::span<char> TensorTable::room(std::size_t bytes) {
  if (bytes == 0) return {};
  return {static_cast<char*>(memory_->allocate(bytes, 1)), bytes};
}

std::string_view TensorTable::keep(std::string_view text) {
  const std::span<char> copy = room(text.size());
  std::ranges::copy(text, copy.begin());
  return {copy.data(), copy.size()};
}

std::span<const std::uint64_t> TensorTable::keep(std::span<const std::uint64_t> shape) {
  if (shape.empty()) return {};
  void* copy = memory_->allocate(shape.size_bytes(), alignof(std::uint64_t));
  std::memcpy(copy, shape.data(), shape.size_bytes());
  return {static_cast<const std::uint64_t*>(copy), shape.size()};
}

void TensorTable::append(TensorTable&& other, std::uint32_t file,
                         FunctionRef<bool(const TensorEntry&)> is_wanted) {
  for (TensorEntry entry : other.entries_) {
    if (!is_wanted(entry)) continue;
    entry.file = file;
    entries_.push_back(entry);
  }
  appended_memory_.push_back(std::move(other.memory_));
  other = TensorTable();
}

void TensorTable::seal() {
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const TensorEntry& left, const TensorEntry& right) {
                     return std::tie(left.file, left.begin, left.end) <
                            std::tie(right.file, right.begin, right.end);
                   });
  by_name_.resize(entries_.size());
  std::iota(by_name_.begin(), by_name_.end(), std::uint32_t{0});
  std::sort(by_name_.begin(), by_name_.end(), [this](std::uint32_t left, std::uint32_t right) {
    return entries_[left].name < entries_[right].name;
  });
  endings_.clear();
  for (const TensorEntry& entry : entries_) {
    const std::string_view ending = ending_of(entry.name);
    if (endings_.empty() || endings_.back() != ending) endings_.push_back(ending);
  }
  std::ranges::sort(endings_);
  endings_.erase(std::unique(endings_.begin(), endings_.end()), endings_.end());
}

}  // namespace quarrow

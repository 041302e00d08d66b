// SPDX-License-Identifier: Apache-2.0
#include "pipeline/placement.h"

#include <stdexcept>
#include <string>

#include "core/checked_math.h"

namespace quarrow {
namespace {

// Of a quantized tensor: its parts and a description.
constexpr std::size_t kMostEntries = kMaxParts + 1;

}  // namespace

Placement::Placement(FilePlan& plan, std::size_t tensors, const FilePlanOptions& options)
    : plan_(plan),
      container_(spec_of(options.container)),
      max_shard_bytes_(options.in_memory ? 0 : options.max_shard_bytes),
      in_memory_(options.in_memory) {
  plan.container = options.container;
  begin_output();
  // Unused pages are never touched; growing would copy.
  plan.outputs[0].entries.reserve(kMostEntries * tensors);
  plan.outputs[0].tensors.reserve(kMostEntries * tensors);
  roles_[0].reserve(kMostEntries * tensors);
}

void Placement::add(std::uint32_t tensor, std::span<const EncodedEntry> parts) {
  // Few parts, each of which has fewer than 2^60 bytes.
  std::uint64_t bytes = 0;
  for (const EncodedEntry& part : parts) {
    if (!in_memory_) check_held(part);
    bool partial_byte = false;
    const auto part_bytes = tensor_bytes(part.dtype, part.shape, partial_byte);
    if (!part_bytes) throw std::length_error("tensor data");
    bytes += *part_bytes;
  }
  const bool full = output_bytes_ != 0 && max_shard_bytes_ != 0 &&
                    (bytes > max_shard_bytes_ || output_bytes_ > max_shard_bytes_ - bytes);
  if (full && !container_.in_shards) {
    throw ContainerFault(ContainerRule::kOneFile, container_.container);
  }
  if (full) begin_output();
  output_bytes_ += bytes;
  const auto output = static_cast<std::uint32_t>(plan_.outputs.size() - 1);
  plan_.tensors[tensor].output = output;
  plan_.tensors[tensor].bytes_out = bytes;
  for (const EncodedEntry& part : parts) {
    TensorEntry entry;
    entry.name = part.name;
    entry.shape = part.shape;
    entry.dtype = part.dtype;
    plan_.outputs[output].entries.push_back(entry);
    plan_.outputs[output].tensors.push_back(tensor);
    roles_[output].push_back(part.role);
    if (!part.role) {
      // Its entry, until that has a position.
      const std::uint64_t index = roles_[output].size() - 1;
      plan_.outputs[output].constants.push_back({index, part.constant});
    }
  }
}

void Placement::finish() {
  for (std::size_t output = 0; output < plan_.outputs.size(); ++output) {
    place(plan_.outputs[output], roles_[output]);
  }
}

void Placement::begin_output() {
  plan_.outputs.emplace_back();
  roles_.emplace_back();
  output_bytes_ = 0;
}

void Placement::check_held(const EncodedEntry& entry) const {
  const bool has_type = container_.holds(entry.dtype);
  if (has_type && container_.takes_name(entry.name)) return;
  ContainerFault fault(has_type ? ContainerRule::kNoName : ContainerRule::kNoType,
                       container_.container);
  fault.tensor = std::string(entry.name);
  fault.detail = std::string(name_of(entry.dtype));
  throw fault;
}

void Placement::place(OutputPlan& output, const Roles& roles) {
  const FileSizes sizes = container_.place(plan_.metadata, output.entries, output.order);
  output.header_bytes = sizes.header_bytes;
  output.file_bytes = sizes.file_bytes;
  if (in_memory_) place_in_memory(output);
  const auto position_of = [&](std::size_t index) {
    return in_memory_ ? output.memory_positions[index]
                      : output.header_bytes + output.entries[index].begin;
  };
  for (ConstantBytes& constant : output.constants) {
    constant.position = position_of(static_cast<std::size_t>(constant.position));
  }
  for (std::size_t index = 0; index < roles.size(); ++index) {
    TensorPlan& tensor = plan_.tensors[output.tensors[index]];
    const std::uint64_t position = position_of(index);
    if (!roles[index]) continue;
    if (!tensor.is_quantized()) {
      tensor.data_position = position;
      continue;
    }
    PlacedParts& parts = plan_.placed[tensor.layer];
    parts.positions[*roles[index]] = position;
    parts.types[*roles[index]] = output.entries[index].dtype;
  }
}

// The entries that are made, each on a cache line.
void Placement::place_in_memory(OutputPlan& output) const {
  constexpr std::uint64_t kCacheLine = 64;
  output.memory_positions.reserve(output.entries.size());
  for (std::size_t index = 0; index < output.entries.size(); ++index) {
    const bool made = !plan_.tensors[output.tensors[index]].is_copied();
    const std::uint64_t bytes = made ? output.entries[index].bytes() : 0;
    output.memory_positions.push_back(output.memory_bytes);
    // They are fewer than 2^63 together, and there are fewer than 2^32 of them.
    output.memory_bytes += round_up(bytes, kCacheLine);
  }
}

}  // namespace quarrow

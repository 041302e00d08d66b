// SPDX-License-Identifier: Apache-2.0
//
// Where the entries of new files come to lie.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "quarrow/containers/container.h"
#include "quarrow/pipeline/file_plan.h"

namespace quarrow {

// Puts tensors into output files, one after the other, and tells them where their parts lie.
class Placement {
 public:
  // `tensors`: how many there may be.
  Placement(FilePlan& plan, std::size_t tensors, const FilePlanOptions& options);

  // All parts of a tensor come to lie in one file. Throws ContainerFault and std::length_error.
  void add(std::uint32_t tensor, std::span<const EncodedEntry> parts);

  // After the metadata is known. Throws std::length_error.
  void finish();

 private:
  using Roles = std::vector<std::optional<Role>>;

  void begin_output();
  void check_held(const EncodedEntry& entry) const;
  void place(OutputPlan& output, const Roles& roles);
  void place_in_memory(OutputPlan& output) const;

  FilePlan& plan_;
  const ContainerSpec& container_;
  std::uint64_t max_shard_bytes_;
  bool in_memory_;
  std::uint64_t output_bytes_ = 0;  // of data, in the last output
  std::vector<Roles> roles_;        // of the entries of each output
};

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// What becomes of each tensor of a file, and where it lies in the file to be written.
#pragma once

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "quarrow/containers/safetensors.h"
#include "quarrow/layouts/layout.h"
#include "quarrow/quantize/format.h"
#include "quarrow/quantize/plan.h"

namespace quarrow {

// In a list of choices: leave the tensor as it is.
inline constexpr std::uint8_t kLeaveTensor = 255;

struct TensorPlan {
  StayReason reason = StayReason::kNone;   // kNone: quantized
  std::uint8_t format = kLeaveTensor;      // index of the format; kLeaveTensor when it stays
  const Layout* layout = nullptr;          // when quantized
  std::uint32_t layer = 0;                 // in FilePlan::quantize, when quantized
  std::uint64_t data_position = 0;         // in the new file: of the tensor, or of its codes
  std::uint64_t scales_position = 0;       // in the new file, when quantized
  std::uint64_t zero_points_position = 0;  // in the new file, when it has any
  std::uint64_t bytes_out = 0;             // of all its entries
};

// Bytes that belong to an entry whatever the data.
struct ConstantBytes {
  std::uint64_t position = 0;  // in the new file
  std::string_view bytes;
};

// Borrows names and shapes from the source, which must outlive it. Movable.
struct FilePlan {
  std::vector<TensorPlan> tensors;   // in the order of the source
  Plan quantize;                     // of the tensors that are quantized, in that order
  std::vector<TensorEntry> entries;  // of the new file, with their offsets
  std::vector<std::uint32_t> order;  // of the entries' data
  std::vector<ConstantBytes> constants;
  std::optional<TensorTable::Metadata> metadata;  // the source's, and what the layouts add
  std::uint64_t header_bytes = 0;
  std::uint64_t file_bytes = 0;
  std::unique_ptr<std::pmr::monotonic_buffer_resource> memory;  // of new names and shapes
};

// Plans every byte of the new file; quantize_file() cuts the tiles. `choices` has, for each tensor
// of the source, the index of a format or kLeaveTensor; empty means formats[0] for all. A tensor
// that the format's layout does not take stays. Every format has a safetensors layout (else
// std::invalid_argument). Throws std::length_error when the new file would be longer than 63 bits
// can say.
FilePlan plan_file(const SafetensorsFile& source, std::span<const Format> formats,
                   std::span<const std::uint8_t> choices);

}  // namespace quarrow

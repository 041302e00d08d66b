// SPDX-License-Identifier: Apache-2.0
//
// What becomes of each tensor of a checkpoint, and where it lies in the files to be written.
#pragma once

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "quarrow/containers/checkpoint.h"
#include "quarrow/containers/container.h"
#include "quarrow/layouts/layout.h"
#include "quarrow/quantize/format.h"
#include "quarrow/quantize/plan.h"

namespace quarrow {

// In a list of choices: leave the tensor as it is, or give it the first format unless the defaults
// (default_stay_reason) leave it.
inline constexpr std::uint8_t kLeaveTensor = 255;
inline constexpr std::uint8_t kDefaultChoice = 254;

// Where the values of a tensor come from (`source`, `stored`) and what becomes of them (`layout`,
// `dtype`); what keeps both is copied byte for byte.
struct TensorPlan {
  StayReason reason = StayReason::kNone;  // why it is not quantized
  std::uint8_t format = kLeaveTensor;     // index of the format, when quantized
  ElementType dtype = ElementType::kF32;  // of its values in the new file, unless quantized
  std::uint32_t layer = 0;                // in FilePlan::layers, when quantized
  std::uint32_t output = 0;               // in FilePlan::outputs
  const TensorEntry* source = nullptr;    // what is read; of a decoded layer, its codes
  const StoredLayer* stored = nullptr;    // when its values are decoded
  // When it is part of a quantized layer that stays: of which dialect. Borrowed from the dialects'
  // table or the stored layers.
  std::string_view stored_as = {};
  const Layout* layout = nullptr;   // when quantized
  std::uint64_t data_position = 0;  // in the new file or memory, unless quantized
  std::uint64_t bytes_out = 0;      // of all its entries

  bool is_quantized() const noexcept { return layout != nullptr; }
  bool is_decoded() const noexcept { return stored != nullptr; }
  bool is_copied() const noexcept {
    return layout == nullptr && stored == nullptr && dtype == source->dtype;
  }

  // As it was before, decoded.
  std::string_view name() const noexcept { return is_decoded() ? stored->name : source->name; }
  std::span<const std::uint64_t> shape() const noexcept {
    return is_decoded() ? stored->shape : source->shape;
  }
  ElementType dtype_before() const noexcept { return is_decoded() ? stored->dtype : source->dtype; }
  std::uint64_t bytes_in() const noexcept {
    return is_decoded() ? stored->bytes() : source->bytes();
  }
};

// Where the parts of a quantized layer lie, and what the elements of their entries are.
struct PlacedParts {
  PerRole<std::uint64_t> positions;  // in the new file or memory
  PerRole<ElementType> types;
};

// Bytes that belong to an entry whatever the data.
struct ConstantBytes {
  std::uint64_t position = 0;  // in its file or memory
  std::string_view bytes;
};

// One file to be written.
struct OutputPlan {
  std::vector<TensorEntry> entries;    // with their offsets
  std::vector<std::uint32_t> tensors;  // of each entry, the index of its TensorPlan
  std::vector<std::uint32_t> order;    // of the entries' data
  std::vector<ConstantBytes> constants;
  std::uint64_t header_bytes = 0;
  std::uint64_t file_bytes = 0;
  // When planned for memory: where each entry lies in it, but for those that are copied, which take
  // none; and how much that is.
  std::vector<std::uint64_t> memory_positions;
  std::uint64_t memory_bytes = 0;
};

// What a runtime's rules did to a plan.
struct RuntimeRules {
  Runtime runtime = Runtime::kNone;
  bool known_model = false;  // by its names; of other files nothing is held back
  // Tensors that the runtime would misread: those that stay for it, and those that a choice of the
  // caller's quantizes all the same. The reason is that of the first.
  std::size_t held_back = 0;
  std::size_t overruled = 0;
  StayReason reason = StayReason::kNone;
};

// Borrows names and shapes from the source and its stored layers, which must outlive it. Movable.
struct FilePlan {
  Container container = Container::kSafetensors;
  std::vector<TensorPlan> tensors;  // in the order of the source, decoded layers where codes were
  Plan layers;                      // of the tensors that are quantized, in that order
  std::vector<PlacedParts> placed;  // of each layer that is quantized
  std::vector<OutputPlan> outputs;  // at least one
  std::optional<TensorTable::Metadata> metadata;                // of each file
  std::unique_ptr<std::pmr::monotonic_buffer_resource> memory;  // of new names and shapes
  RuntimeRules rules;
  // Who loads the quantized layers of the new file, when some were quantized: with more than one,
  // nobody loads all of it.
  std::vector<std::string_view> readers;

  std::uint64_t file_bytes() const noexcept;  // of all outputs
};

struct FilePlanOptions {
  // What float tensors that stay, and decoded ones, become: f16, bf16 or f32. Nothing: they keep
  // their dtype.
  std::optional<DType> dtype;
  // A new file is begun before the data of one would be longer, but for a tensor that is longer by
  // itself; 0: one file.
  std::uint64_t max_shard_bytes = 0;
  // Whose rules hold for what is quantized; nothing: for each format those of its scheme.
  std::optional<Runtime> runtime = {};
  // For run_memory_job(): positions are those in its memory. The sizes stay those of the file.
  bool in_memory = false;
  Container container = Container::kSafetensors;  // of the new files
};

// Plans every byte of the new files; the job cuts the tiles. `stored` are the layers that the
// source holds quantized: they are decoded where their format changes, and where they stay in
// another container, which has no place for them as they are. `choices` has, for each tensor of the
// source, the index of a format, kDefaultChoice or kLeaveTensor, that of a stored layer at its
// codes; empty means kDefaultChoice for all. A tensor that the format's layout does not take stays,
// and so does a layer of that very format. Every format has a layout in the container (else
// std::invalid_argument, as for another number of choices, and std::out_of_range for a choice of no
// format); codes lie in it as that packs them, also where the format has a byte for each. Throws
// std::length_error when a new file would be longer than 63 bits can say, CheckpointFault
// (kTensorDimensions) for a tensor that cannot be converted, ContainerFault for what the container
// cannot hold, and StatusError (kBadFormat, kBadDType).
FilePlan plan_quantized(const Checkpoint& source, const StoredLayers& stored,
                        std::span<const Format> formats, std::span<const std::uint8_t> choices,
                        const FilePlanOptions& options);
// The plan borrows from them.
FilePlan plan_quantized(const Checkpoint& source, const StoredLayers&& stored,
                        std::span<const Format> formats, std::span<const std::uint8_t> choices,
                        const FilePlanOptions& options) = delete;

// The same where all stored layers become what they were.
FilePlan plan_restored(const Checkpoint& source, const StoredLayers& stored,
                       const FilePlanOptions& options);
FilePlan plan_restored(const Checkpoint& source, const StoredLayers&& stored,
                       const FilePlanOptions& options) = delete;

// The same where nothing is quantized, and stored layers stay so where the container has a place
// for them.
FilePlan plan_converted(const Checkpoint& source, const StoredLayers& stored,
                        const FilePlanOptions& options);
FilePlan plan_converted(const Checkpoint& source, const StoredLayers&& stored,
                        const FilePlanOptions& options) = delete;

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// What the registry's line for safetensors consists of (quarrow/containers/container.h says what
// each does).
#pragma once

#include <memory_resource>
#include <optional>
#include <span>
#include <vector>

#include "quarrow/containers/container.h"

namespace quarrow {

Checkpoint read_safetensors(OpenedFile&& file);
FileSizes place_safetensors(const std::optional<TensorTable::Metadata>& metadata,
                            std::span<TensorEntry> entries, std::vector<std::uint32_t>& order);
void write_safetensors_header(const std::optional<TensorTable::Metadata>& metadata,
                              std::span<const TensorEntry> entries,
                              std::span<const std::uint32_t> order, const File& file);
// It says which framework's tensors these are, as loaders want it (accelerate refuses a file that
// has metadata without "format"), and none is left empty.
void complete_safetensors_metadata(std::optional<TensorTable::Metadata>& metadata,
                                   const MetadataOrigin& origin, std::pmr::memory_resource& memory);

}  // namespace quarrow

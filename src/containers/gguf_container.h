// SPDX-License-Identifier: Apache-2.0
//
// GGUF, the container of ggml (its docs/gguf.md): "GGUF", a version, how many tensors and keys
// there are, the keys with their values, the tensors with name, dimensions (the innermost first),
// type and offset, then the data of each from a multiple of an alignment on. Every byte is treated
// as hostile: a file that ggml would refuse is a CheckpointFault that names the rule. What the
// registry's line for it consists of is what quarrow/containers/container.h says.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "quarrow/containers/container.h"

namespace quarrow {

inline constexpr std::string_view kGgufMagic = "GGUF";
// Both have the same layout; 3 may be of either byte order.
inline constexpr std::uint32_t kOldestGguf = 2;
inline constexpr std::uint32_t kNewestGguf = 3;

inline constexpr std::string_view kGgufAlignmentKey = "general.alignment";
inline constexpr std::string_view kGgufArchitectureKey = "general.architecture";
inline constexpr std::string_view kGgufQuantizationKey = "general.quantization_version";
inline constexpr std::string_view kGgufFileTypeKey = "general.file_type";
inline constexpr std::uint64_t kGgufAlignment = 32;  // unless that key says otherwise

// ggml takes names of up to 63 bytes and ComfyUI-GGUF's patch of it up to 127; files have longer
// ones.
inline constexpr std::size_t kMaxGgufNameBytes = 65'535;

// So that a header cannot grow in memory: a tensor takes 25 bytes of it, and four times as many
// there.
inline constexpr std::size_t kMaxGgufTensors = std::size_t{1} << 20;

// The alignment that the metadata of a file says.
std::uint64_t gguf_alignment(const std::optional<TensorTable::Metadata>& metadata) noexcept;

Checkpoint read_gguf(OpenedFile&& file);
bool is_in_gguf(ElementType type) noexcept;
bool is_gguf_name(std::string_view name) noexcept;
// BF16 is read in matrices of linear layers alone, two dimensions of a weight: ComfyUI-GGUF's
// loader (loader.py) sees nothing but F32 and F16 as numbers, and its convert.py writes the others
// as F32.
ElementType kept_in_gguf(const TensorEntry& tensor) noexcept;
FileSizes place_gguf(const std::optional<TensorTable::Metadata>& metadata,
                     std::span<TensorEntry> entries, std::vector<std::uint32_t>& order);
void write_gguf_header(const std::optional<TensorTable::Metadata>& metadata,
                       std::span<const TensorEntry> entries, std::span<const std::uint32_t> order,
                       const File& file);
// Of another container: without what is not said of GGUF, and only with an architecture, by which
// every loader knows the model.
void complete_gguf_metadata(std::optional<TensorTable::Metadata>& metadata,
                            const MetadataOrigin& origin, std::pmr::memory_resource& memory);

}  // namespace quarrow

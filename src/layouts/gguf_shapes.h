// SPDX-License-Identifier: Apache-2.0
//
// Shapes that ComfyUI-GGUF's converter (tools/convert.py) has changed, so that rows are whole
// blocks: it writes rows of 256 and the shape before under comfy.gguf.orig_shape.NAME, which its
// loader (loader.py) applies.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <span>
#include <string_view>
#include <unordered_map>

#include "quarrow/containers/checkpoint.h"

namespace quarrow {

using Shapes = std::unordered_map<std::string_view, std::span<const std::uint64_t>>;

// By the names of tensors, in `memory`; those alone that have as many elements.
Shapes shapes_before(const Checkpoint& file, std::pmr::memory_resource& memory);

// Whether a key of the metadata says one.
bool is_shape_before(std::string_view key) noexcept;

}  // namespace quarrow

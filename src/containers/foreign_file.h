// SPDX-License-Identifier: Apache-2.0
//
// What a file is that was taken for a checkpoint.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {

// How many of the first bytes foreign_file() wants to see.
inline constexpr std::size_t kForeignFileBytes = 512;

// Recognizes a file by its first bytes. Ask only once it is known not to be a safetensors file: the
// length field of a valid one may look like anything.
std::optional<FileRule> foreign_file(std::string_view first_bytes,
                                     std::uint64_t file_bytes) noexcept;

}  // namespace quarrow

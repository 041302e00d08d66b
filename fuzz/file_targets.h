// SPDX-License-Identifier: Apache-2.0
//
// What is fuzzed of the file layers: a file is opened, planned for every format that a file can
// carry and for every container, and the header of each planned file is read back.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace quarrow::fuzz {

inline constexpr std::string_view kValid = "valid";

// Each returns kValid, or the name of the rule that the bytes break. Aborts with a line on stderr
// where the reader or the planner breaks its own contract; any exception but a CheckpointFault
// escapes.
std::string_view run_safetensors(std::span<const std::uint8_t> bytes);
// The same of any container, as the first bytes say it.
std::string_view run_gguf(std::span<const std::uint8_t> bytes);

}  // namespace quarrow::fuzz

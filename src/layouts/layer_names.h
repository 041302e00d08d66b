// SPDX-License-Identifier: Apache-2.0
//
// The names of the entries of a layer L: L.weight and what lies beside it.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <span>
#include <string>
#include <string_view>

#include "quarrow/containers/tensor_table.h"
#include "quarrow/layouts/layout.h"

namespace quarrow {

inline constexpr std::string_view kWeightSuffix = ".weight";

// "L" of "L.weight".
std::string_view layer_of(std::string_view weight_name);

// Layer and suffix, in `memory`.
std::string_view joined(std::string_view layer, std::string_view suffix,
                        std::pmr::memory_resource& memory);

// Why a tensor of a type that is not quantized stays.
StayReason no_float_reason(ElementType dtype) noexcept;

bool has_entry(const TensorTable& file, std::string_view layer, std::string_view suffix);

// The entries of the layer with these suffixes, of those that are there.
std::span<const TensorEntry* const> present(const TensorTable& file, std::string_view layer,
                                            std::span<const std::string_view> suffixes,
                                            std::pmr::memory_resource& memory);

// Copies in `memory`.
std::string_view keep(std::string_view text, std::pmr::memory_resource& memory);
std::span<const std::uint64_t> keep(std::span<const std::uint64_t> shape,
                                    std::pmr::memory_resource& memory);
std::span<const TensorEntry* const> keep(std::span<const TensorEntry* const> entries,
                                         std::pmr::memory_resource& memory);

}  // namespace quarrow

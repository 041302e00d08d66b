// SPDX-License-Identifier: Apache-2.0
//
// A quantization format, as a value.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "quarrow/core/dtype.h"
#include "quarrow/core/target.h"
#include "quarrow/quantize/encoding.h"

namespace quarrow {

struct FormatSpec;

// How many columns share a scale: a number of columns, the whole row, or the whole tensor.
struct GroupSize {
  enum class Kind : std::uint8_t { kColumns, kRow, kTensor };
  Kind kind = Kind::kRow;
  std::uint64_t columns = 0;  // kColumns only; at least 1

  static constexpr GroupSize of(std::uint64_t columns) { return {Kind::kColumns, columns}; }
  static constexpr GroupSize row() { return {Kind::kRow, 0}; }
  static constexpr GroupSize tensor() { return {Kind::kTensor, 0}; }
  friend bool operator==(const GroupSize&, const GroupSize&) = default;
};

enum class Rounding : std::uint8_t { kNearest, kStochastic };

// The fields of all formats (format_fields.h); which of them a user may set is in
// FormatSpec::fields. The others keep the format's own value.
struct Format {
  const FormatSpec* spec = nullptr;  // an entry of the registry
  GroupSize group_size;
  bool symmetric = false;
  DType scale_dtype = DType::kF32;  // f32, f16 or bf16
  bool packed = true;               // 4 and 2 bits: several codes in a byte
  Rounding rounding = Rounding::kNearest;
  std::uint64_t seed = 0;  // of stochastic rounding
  bool scaled = true;      // floats: with a scale for the tensor, else a plain cast

  friend bool operator==(const Format&, const Format&) = default;
};

enum class FormatField : std::uint8_t {
  kGroupSize = 1,
  kSymmetric = 2,
  kScaleDType = 4,
  kPacked = 8,
  kRounding = 16,  // and the seed
  kScaled = 32,
};

constexpr std::uint8_t operator|(FormatField a, FormatField b) noexcept {
  return static_cast<std::uint8_t>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr std::uint8_t operator|(std::uint8_t a, FormatField b) noexcept {
  return static_cast<std::uint8_t>(a | static_cast<unsigned>(b));
}

struct FormatKernels;

// One line of the registry.
struct FormatSpec {
  std::string_view name;
  std::string_view summary;  // one line for a person
  int bits;
  std::uint8_t fields;  // FormatField bits that a user may set
  std::uint8_t fixed;   // those that describe it all the same, with the defaults' values
  Format defaults;      // defaults.spec is filled in by default_format()
  // The parts of a matrix of rows x cols. Throws StatusError(kSizeOverflow).
  Encoding (*encoding)(const Format& format, std::uint64_t rows, std::uint64_t cols);
  const FormatKernels& (*kernels)(Target target) noexcept;
};

// Every format, in the order in which people should see them.
std::span<const FormatSpec> registry() noexcept;

// The entry of that name; null when there is none.
const FormatSpec* find_format(std::string_view name) noexcept;

// The format with its defaults.
Format default_format(const FormatSpec& spec) noexcept;

// Throws StatusError(kBadFormat): no spec, a group of no columns, a value out of its enumeration,
// or another value than the format's own in a field that its spec does not list.
void check_format(const Format& format);

}  // namespace quarrow

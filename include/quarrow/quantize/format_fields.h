// SPDX-License-Identifier: Apache-2.0
//
// The fields of formats, each once: arguments, texts, hashes and help all follow this table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "quarrow/quantize/format.h"

namespace quarrow {

// As a program writes it: a truth, a whole number or a word.
using FieldValue = std::variant<bool, std::uint64_t, std::string_view>;

enum class FieldKind : std::uint8_t { kTruth, kNumber, kWord, kDType, kNumberOrWord };

// What a field is of.
enum class FieldUse : std::uint8_t {
  kStored,  // of what is stored: files say it, or it can be seen
  kMaking,  // of the way to it
  kMemory,  // of what lies in memory alone
};

struct FieldSpec {
  FormatField field;  // rounding and its seed are one
  std::string_view name;
  FieldKind kind;
  FieldUse use;
  std::string_view numbers;                 // that it takes: "a whole number from 1"
  std::span<const std::string_view> words;  // the same
  std::string_view summary;                 // one line for a person
  FieldValue (*get)(const Format& format) noexcept;
  // False, and the format stays as it was, when it cannot be that.
  bool (*set)(Format& format, const FieldValue& value) noexcept;
  // Whether what it makes depends on it.
  bool (*matters)(const Format& format) noexcept;
};

// Every field, in the order in which they are read and shown.
std::span<const FieldSpec> format_fields() noexcept;

// What it takes, for a message: "a whole number from 1, 'row' or 'tensor'".
std::string accepted_values(const FieldSpec& field);

// Null when there is none of that name.
const FieldSpec* find_field(std::string_view name) noexcept;

// Whether a user may set it.
inline bool has_field(const FormatSpec& spec, FormatField field) noexcept {
  return (spec.fields & static_cast<std::uint8_t>(field)) != 0;
}

// Whether it is true of the format, though perhaps fixed.
inline bool describes(const FormatSpec& spec, FormatField field) noexcept {
  return has_field(spec, field) || (spec.fixed & static_cast<std::uint8_t>(field)) != 0;
}

}  // namespace quarrow

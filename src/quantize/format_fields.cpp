// SPDX-License-Identifier: Apache-2.0
#include "quarrow/quantize/format_fields.h"

#include <algorithm>
#include <array>
#include <limits>

namespace quarrow {
namespace {

constexpr std::string_view kRow = "row";
constexpr std::string_view kTensor = "tensor";
constexpr std::string_view kNearest = "nearest";
constexpr std::string_view kStochastic = "stochastic";

bool always(const Format& /*format*/) noexcept { return true; }

template <bool Format::* kMember>
FieldValue get_truth(const Format& format) noexcept {
  return format.*kMember;
}
template <bool Format::* kMember>
bool set_truth(Format& format, const FieldValue& value) noexcept {
  const bool* truth = std::get_if<bool>(&value);
  if (truth != nullptr) format.*kMember = *truth;
  return truth != nullptr;
}

FieldValue get_group_size(const Format& format) noexcept {
  switch (format.group_size.kind) {
    case GroupSize::Kind::kColumns:
      return format.group_size.columns;
    case GroupSize::Kind::kRow:
      return kRow;
    case GroupSize::Kind::kTensor:
      break;
  }
  return kTensor;
}
bool set_group_size(Format& format, const FieldValue& value) noexcept {
  Format wanted;
  if (const auto* columns = std::get_if<std::uint64_t>(&value)) {
    if (*columns == 0 || *columns > std::numeric_limits<std::int64_t>::max()) return false;
    wanted.group_size = GroupSize::of(*columns);
  } else {
    wanted.group_size = value == FieldValue(kRow) ? GroupSize::row() : GroupSize::tensor();
    if (value != get_group_size(wanted)) return false;
  }
  format.group_size = wanted.group_size;
  return true;
}

FieldValue get_scale_dtype(const Format& format) noexcept { return name_of(format.scale_dtype); }
bool set_scale_dtype(Format& format, const FieldValue& value) noexcept {
  const auto* name = std::get_if<std::string_view>(&value);
  const auto dtype = name == nullptr ? std::nullopt : dtype_from_name(*name);
  if (!dtype || *dtype == DType::kF64) return false;
  format.scale_dtype = *dtype;
  return true;
}

FieldValue get_rounding(const Format& format) noexcept {
  return format.rounding == Rounding::kNearest ? kNearest : kStochastic;
}
bool set_rounding(Format& format, const FieldValue& value) noexcept {
  const bool stochastic = value == FieldValue(kStochastic);
  if (!stochastic && value != FieldValue(kNearest)) return false;
  format.rounding = stochastic ? Rounding::kStochastic : Rounding::kNearest;
  return true;
}

FieldValue get_seed(const Format& format) noexcept { return format.seed; }
bool set_seed(Format& format, const FieldValue& value) noexcept {
  const auto* seed = std::get_if<std::uint64_t>(&value);
  if (seed != nullptr) format.seed = *seed;
  return seed != nullptr;
}
bool seed_matters(const Format& format) noexcept {
  return format.rounding == Rounding::kStochastic;
}

constexpr std::array kGroupWords = {kRow, kTensor};
constexpr std::array<std::string_view, 3> kScaleDTypes = {"float32", "float16", "bfloat16"};
constexpr std::array kRoundings = {kNearest, kStochastic};

constexpr auto kFields = std::to_array<FieldSpec>({
    {FormatField::kGroupSize, "group_size", FieldKind::kNumberOrWord, FieldUse::kStored,
     "a whole number from 1", kGroupWords, "How many columns share a scale.", get_group_size,
     set_group_size, always},
    {FormatField::kSymmetric,
     "symmetric",
     FieldKind::kTruth,
     FieldUse::kStored,
     {},
     {},
     "Signed codes around zero, without zero points.",
     get_truth<&Format::symmetric>,
     set_truth<&Format::symmetric>,
     always},
    {FormatField::kScaleDType,
     "scale_dtype",
     FieldKind::kDType,
     FieldUse::kStored,
     {},
     kScaleDTypes,
     "What scales are rounded to.",
     get_scale_dtype,
     set_scale_dtype,
     always},
    {FormatField::kPacked,
     "packed",
     FieldKind::kTruth,
     FieldUse::kMemory,
     {},
     {},
     "Several 4-bit or 2-bit codes in a byte. No effect on 8 bits.",
     get_truth<&Format::packed>,
     set_truth<&Format::packed>,
     always},
    {FormatField::kRounding,
     "rounding",
     FieldKind::kWord,
     FieldUse::kMaking,
     {},
     kRoundings,
     "How values between two codes are rounded.",
     get_rounding,
     set_rounding,
     always},
    {FormatField::kRounding,
     "seed",
     FieldKind::kNumber,
     FieldUse::kMaking,
     "a whole number from 0 to 2**64 - 1",
     {},
     "Of stochastic rounding; the layer's name counts too.",
     get_seed,
     set_seed,
     seed_matters},
    {FormatField::kScaled,
     "scaled",
     FieldKind::kTruth,
     FieldUse::kStored,
     {},
     {},
     "A scale for the tensor; else values are cast as they are, and clamped.",
     get_truth<&Format::scaled>,
     set_truth<&Format::scaled>,
     always},
});

}  // namespace

std::span<const FieldSpec> format_fields() noexcept { return kFields; }

std::string accepted_values(const FieldSpec& field) {
  if (field.kind == FieldKind::kTruth) return "True or False";
  std::string text(field.numbers);
  for (std::size_t i = 0; i < field.words.size(); ++i) {
    if (!text.empty()) text += i + 1 == field.words.size() ? " or " : ", ";
    text.append("'").append(field.words[i]).append("'");
  }
  return text;
}

const FieldSpec* find_field(std::string_view name) noexcept {
  const auto* const found = std::ranges::find(kFields, name, &FieldSpec::name);
  return found == kFields.end() ? nullptr : found;
}

}  // namespace quarrow

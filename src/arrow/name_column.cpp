// SPDX-License-Identifier: Apache-2.0
#include "arrow/name_column.h"

#include <algorithm>
#include <optional>

#include "arrow/runs.h"
#include "arrow/validity.h"
#include "arrow/values.h"
#include "arrow/whole.h"

namespace quarrow {
namespace {

constexpr std::string_view kTextTypes =
    "string, large_string, string_view, a dictionary of these, or one of these run-end encoded";
// Formats of a letter each.
constexpr std::string_view kDictionaryIndices = "cCsSiIlL";
constexpr std::string_view kRunEnds = "sil";

// The letter of a type that is one of `letters`; 0 for others.
char letter_of(const ArrowSchema& schema, std::string_view letters) {
  const std::string_view format = schema.format;
  return format.size() == 1 && letters.find(format) != std::string_view::npos ? format[0] : '\0';
}

}  // namespace

NameColumn::NameColumn(const ArrowSchema& schema, const std::string& name)
    : column_(Column::required(schema, name)) {
  const ArrowSchema& whole = column_.type(schema);
  const ArrowSchema* type = &whole;
  if (std::string_view(type->format) == "+r" && type->dictionary == nullptr) {
    if (type->n_children != 2) column_.refuse_type(whole, kTextTypes);
    run_ends_ = letter_of(*type->children[0], kRunEnds);
    if (run_ends_ == 0) column_.refuse_type(whole, kTextTypes);
    type = type->children[1];
  }
  if (type->dictionary != nullptr) {
    dictionary_index_ = letter_of(*type, kDictionaryIndices);
    if (dictionary_index_ == 0) column_.refuse_type(whole, kTextTypes);
    type = type->dictionary;
  }
  const std::string_view format = type->format;
  if (format == "u") {
    text_ = TextType::kUtf8;
  } else if (format == "U") {
    text_ = TextType::kLargeUtf8;
  } else if (format == "vu") {
    text_ = TextType::kUtf8View;
  } else if (format != "n") {
    column_.refuse_type(whole, kTextTypes);
  }
}

void NameColumn::check(const ArrowArray& batch) const {
  const ArrowArray* array = column_.array(batch);
  bool whole = true;
  if (run_ends_ != 0) {
    whole = is_whole(array, {.children = 2}) && is_whole(array->children[0], {.buffers = 2});
    if (whole) check_runs(batch, *array);
    array = whole ? array->children[1] : nullptr;
  }
  if (dictionary_index_ != 0) {
    whole = whole && is_whole(array, {.buffers = 2});
    array = whole ? array->dictionary : nullptr;
  }
  whole = whole && is_whole(array, {.buffers = text_ == TextType::kNull ? 0 : 3});
  if (!whole) column_.refuse(ArrowRule::kMissingParts);
}

void NameColumn::check_runs(const ArrowArray& batch, const ArrowArray& encoded) const {
  const std::int64_t begin = encoded.offset + batch.offset;
  const std::int64_t end = encoded.offset + std::min(batch.offset + batch.length, encoded.length);
  if (!runs_cover(*encoded.children[0], run_ends_, begin, end)) {
    column_.refuse(ArrowRule::kBadRunEnds);
  }
}

std::string_view NameColumn::text(const ArrowArray& batch, std::int64_t row) const {
  const ArrowArray* array = column_.array(batch);
  std::int64_t index = column_.index_of(batch, row);
  if (text_ == TextType::kNull) column_.refuse_row(ArrowRule::kNullName, row);
  if (run_ends_ != 0) {
    const auto run = run_of(*array->children[0], run_ends_, index);
    array = array->children[1];
    if (!run || *run >= array->length) column_.refuse_row(ArrowRule::kBadRunEnds, row);
    index = array->offset + *run;
  }
  if (is_null(*array, index)) column_.refuse_row(ArrowRule::kNullName, row);
  if (dictionary_index_ != 0) {
    const auto found = integer_at(*array, dictionary_index_, index);
    array = array->dictionary;
    if (!found || *found < 0 || *found >= array->length) {
      column_.refuse_row(ArrowRule::kBadOffsets, row);
    }
    index = array->offset + *found;
    if (is_null(*array, index)) column_.refuse_row(ArrowRule::kNullName, row);
  }
  const auto text = text_ == TextType::kUtf8        ? text_of_offsets<std::int32_t>(*array, index)
                    : text_ == TextType::kLargeUtf8 ? text_of_offsets<std::int64_t>(*array, index)
                                                    : text_of_view(*array, index);
  if (!text) column_.refuse_row(ArrowRule::kBadOffsets, row);
  return *text;
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// Formats as Python callers write them.
#pragma once

#include <nanobind/nanobind.h>

#include <string>
#include <string_view>

#include "quarrow/core/dtype.h"
#include "quarrow/quantize/format_fields.h"

namespace quarrow::python {

// `format`: a registered name or a Format, with the given fields in place of its own; None is not
// given. Raises UnsupportedFormatError for an unknown name or a field that the format lacks,
// InvalidInputError for a value that a field cannot take. The fields of a call are taken as its
// other keywords: most calls have none, and nanobind looks each parameter up among the keywords.
Format format_argument(nanobind::handle format, const nanobind::kwargs& fields);

// The same without fields beside it.
Format format_argument(nanobind::handle format);

// A dtype by name ("bfloat16") or as anything that numpy.dtype understands. `role` is the
// argument's name for messages. Raises InvalidInputError.
DType dtype_argument(nanobind::handle dtype, std::string_view role);

nanobind::object field_object(const FieldValue& value);

// Every field that a user may set on the format, with its value, by name.
nanobind::dict fields_of(const Format& format);

// "int | str".
const char* python_type(FieldKind kind) noexcept;

// The fields as parameters of a signature: "group_size: int | str | None = None, ...".
std::string field_parameters();

// Format('int4', group_size=128, ...): every field that matters, so that evaluating it gives the
// format back.
std::string format_repr(const Format& format);

}  // namespace quarrow::python

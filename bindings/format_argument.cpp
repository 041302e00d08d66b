// SPDX-License-Identifier: Apache-2.0
#include "format_argument.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "errors.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

struct FieldName {
  std::string_view name;
  FormatField field;
};
constexpr std::array<FieldName, 6> kFields{{{"group_size", FormatField::kGroupSize},
                                            {"symmetric", FormatField::kSymmetric},
                                            {"scale_dtype", FormatField::kScaleDType},
                                            {"packed", FormatField::kPacked},
                                            {"rounding", FormatField::kRounding},
                                            {"seed", FormatField::kRounding}}};

std::string known_fields(const FormatSpec& spec) {
  std::string names;
  for (const FieldName& each : kFields) {
    if (has_field(spec, each.field)) {
      names += names.empty() ? "its fields are " : ", ";
      names += each.name;
    }
  }
  return names.empty() ? "it has no fields" : names;
}

[[noreturn]] void raise_unknown_field(const FormatSpec& spec, const std::string& field) {
  raise_unsupported_format("format '" + std::string(spec.name) + "' has no field " + field + "; " +
                           known_fields(spec));
}

[[noreturn]] void raise_field_value(std::string_view field, std::string_view accepted,
                                    nb::handle received) {
  raise_invalid_input(std::string(field) + " must be " + std::string(accepted) + ", not " +
                      short_repr(received));
}

// A str as UTF-8, borrowed from it; empty data() for any other type.
std::string_view text_of(nb::handle object) {
  if (PyUnicode_Check(object.ptr())) {
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(object.ptr(), &size);
    if (text != nullptr) {
      return {text, static_cast<std::size_t>(size)};
    }
    PyErr_Clear();
  }
  return {};
}

GroupSize group_size_value(nb::handle value) {
  const std::string_view text = text_of(value);
  if (text == "row") {
    return GroupSize::row();
  }
  if (text == "tensor") {
    return GroupSize::tensor();
  }
  if (!PyBool_Check(value.ptr()) && PyIndex_Check(value.ptr())) {
    const nb::object number = nb::steal(PyNumber_Index(value.ptr()));
    const long long columns = number.is_valid() ? PyLong_AsLongLong(number.ptr()) : -1;
    if (columns >= 1) {
      return GroupSize::of(static_cast<std::uint64_t>(columns));
    }
    PyErr_Clear();
  }
  raise_field_value("group_size", "a whole number from 1, 'row' or 'tensor'", value);
}

bool bool_value(std::string_view field, nb::handle value) {
  if (!PyBool_Check(value.ptr())) {
    raise_field_value(field, "True or False", value);
  }
  return value.is(nb::handle(Py_True));
}

Rounding rounding_value(nb::handle value) {
  const std::string_view text = text_of(value);
  if (text == rounding_name(Rounding::kNearest)) {
    return Rounding::kNearest;
  }
  if (text == rounding_name(Rounding::kStochastic)) {
    return Rounding::kStochastic;
  }
  raise_field_value("rounding", "'nearest' or 'stochastic'", value);
}

std::uint64_t seed_value(nb::handle value) {
  if (!PyBool_Check(value.ptr()) && PyIndex_Check(value.ptr())) {
    const nb::object number = nb::steal(PyNumber_Index(value.ptr()));
    if (number.is_valid()) {
      const unsigned long long seed = PyLong_AsUnsignedLongLong(number.ptr());
      if (PyErr_Occurred() == nullptr) {
        return seed;
      }
    }
    PyErr_Clear();
  }
  raise_field_value("seed", "a whole number from 0 to 2**64 - 1", value);
}

DType scale_dtype_value(nb::handle value) {
  const DType dtype = dtype_argument(value, "scale_dtype");
  if (dtype == DType::kF64) {
    raise_field_value("scale_dtype", "'float32', 'float16' or 'bfloat16'", value);
  }
  return dtype;
}

[[noreturn]] void raise_unknown_format(nb::handle format) {
  nb::list names;
  for (const FormatSpec& each : registry()) {
    names.append(each.name);
  }
  const nb::object remedy =
      nb::module_::import_("quarrow.format_names").attr("unknown_format")(format, names);
  raise_unsupported_format("unknown format " + short_repr(format) + utf8_of(remedy));
}

// Sets the field when it was given; `set` reads the value.
template <typename Set>
void apply(Format& format, const FieldName& field, nb::handle value, Set&& set) {
  if (value.is_none()) {
    return;
  }
  if (!has_field(*format.spec, field.field)) {
    raise_unknown_field(*format.spec, "'" + std::string(field.name) + "'");
  }
  set(value);
}

}  // namespace

bool has_field(const FormatSpec& spec, FormatField field) noexcept {
  return (spec.fields & static_cast<std::uint8_t>(field)) != 0;
}

Format format_argument(nb::handle format) {
  const std::string_view name = text_of(format);
  if (name.data() != nullptr) {
    if (const FormatSpec* spec = find_format(name)) {
      return default_format(*spec);
    }
    raise_unknown_format(format);
  }
  Format* value = nullptr;
  if (nb::try_cast(format, value, false) && value != nullptr) {
    return *value;
  }
  raise_unsupported_format("a format is a name such as 'int4', or a Format, not " +
                           short_repr(format));
}

Format format_argument(nb::handle format, const nb::kwargs& fields) {
  Format result = format_argument(format);
  if (fields.size() == 0) {
    return result;
  }
  std::array<nb::handle, kFields.size()> values;
  values.fill(nb::handle(Py_None));
  for (const auto [name, value] : fields) {
    const auto* const field = std::ranges::find(kFields, text_of(name), &FieldName::name);
    if (field == kFields.end()) {
      raise_unknown_field(*result.spec, short_repr(name));
    }
    values[static_cast<std::size_t>(field - kFields.begin())] = value;
  }
  apply(result, kFields[0], values[0],
        [&](nb::handle value) { result.group_size = group_size_value(value); });
  apply(result, kFields[1], values[1],
        [&](nb::handle value) { result.symmetric = bool_value("symmetric", value); });
  apply(result, kFields[2], values[2],
        [&](nb::handle value) { result.scale_dtype = scale_dtype_value(value); });
  apply(result, kFields[3], values[3],
        [&](nb::handle value) { result.packed = bool_value("packed", value); });
  apply(result, kFields[4], values[4],
        [&](nb::handle value) { result.rounding = rounding_value(value); });
  apply(result, kFields[5], values[5], [&](nb::handle value) { result.seed = seed_value(value); });
  return result;
}

DType dtype_argument(nb::handle dtype, std::string_view role) {
  std::string_view name = text_of(dtype);
  nb::object numpy_name;
  if (name.data() == nullptr && !dtype.is_none()) {
    try {
      numpy_name = nb::module_::import_("numpy").attr("dtype")(dtype).attr("name");
      name = text_of(numpy_name);
    } catch (const nb::python_error&) {
      name = {};
    }
  }
  if (const std::optional<DType> known = dtype_from_name(name)) {
    return *known;
  }
  raise_field_value(role, "'float32', 'float16' or 'bfloat16'", dtype);
}

nb::object group_size_object(const GroupSize& group_size) {
  switch (group_size.kind) {
    case GroupSize::Kind::kColumns:
      return nb::int_(group_size.columns);
    case GroupSize::Kind::kRow:
      return nb::str("row");
    case GroupSize::Kind::kTensor:
      break;
  }
  return nb::str("tensor");
}

std::string_view rounding_name(Rounding rounding) noexcept {
  return rounding == Rounding::kNearest ? "nearest" : "stochastic";
}

std::string format_repr(const Format& format) {
  const auto quoted = [](std::string_view text) { return "'" + std::string(text) + "'"; };
  const auto truth = [](bool value) { return std::string(value ? "True" : "False"); };
  std::string text = "Format(" + quoted(format.spec->name);
  const auto add = [&](const FieldName& field, const std::string& value) {
    if (has_field(*format.spec, field.field)) {
      text += ", " + std::string(field.name) + "=" + value;
    }
  };
  add(kFields[0], nb::repr(group_size_object(format.group_size)).c_str());
  add(kFields[1], truth(format.symmetric));
  add(kFields[2], quoted(name_of(format.scale_dtype)));
  add(kFields[3], truth(format.packed));
  add(kFields[4], quoted(rounding_name(format.rounding)));
  if (format.rounding == Rounding::kStochastic || format.seed != 0) {
    add(kFields[5], std::to_string(format.seed));
  }
  return text + ")";
}

}  // namespace quarrow::python

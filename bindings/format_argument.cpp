// SPDX-License-Identifier: Apache-2.0
#include "format_argument.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <optional>
#include <string>

#include "errors.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

std::string known_fields(const FormatSpec& spec) {
  std::string names;
  for (const FieldSpec& field : format_fields()) {
    if (has_field(spec, field.field)) {
      names += names.empty() ? "its fields are " : ", ";
      names += field.name;
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

// A whole number from 0 to 2^64 - 1; nothing for any other object.
std::optional<std::uint64_t> whole_number(nb::handle value) {
  if (PyBool_Check(value.ptr()) || !PyIndex_Check(value.ptr())) return std::nullopt;
  const nb::object number = nb::steal(PyNumber_Index(value.ptr()));
  if (number.is_valid()) {
    const unsigned long long whole = PyLong_AsUnsignedLongLong(number.ptr());
    if (PyErr_Occurred() == nullptr) return whole;
  }
  PyErr_Clear();
  return std::nullopt;
}

// Nothing for an object that is no value of any field of that kind.
std::optional<FieldValue> field_value(const FieldSpec& field, nb::handle value) {
  if (field.kind == FieldKind::kDType) return name_of(dtype_argument(value, field.name));
  if (PyBool_Check(value.ptr())) return value.is(nb::handle(Py_True));
  if (const std::string_view text = text_of(value); text.data() != nullptr) return text;
  if (const auto number = whole_number(value)) return *number;
  return std::nullopt;
}

void set_field(Format& format, const FieldSpec& field, nb::handle value) {
  if (!has_field(*format.spec, field.field)) {
    raise_unknown_field(*format.spec, "'" + std::string(field.name) + "'");
  }
  const std::optional<FieldValue> given = field_value(field, value);
  if (!given || !field.set(format, *given)) {
    raise_field_value(field.name, accepted_values(field), value);
  }
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

}  // namespace

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
  for (const auto [name, value] : fields) {
    const FieldSpec* field = find_field(text_of(name));
    if (field == nullptr) {
      raise_unknown_field(*result.spec, short_repr(name));
    }
    if (!value.is_none()) {
      set_field(result, *field, value);
    }
  }
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

nb::object field_object(const FieldValue& value) {
  return std::visit([](const auto& each) { return nb::cast(each); }, value);
}

nb::dict fields_of(const Format& format) {
  nb::dict fields;
  for (const FieldSpec& field : format_fields()) {
    if (has_field(*format.spec, field.field)) {
      fields[nb::cast(field.name)] = field_object(field.get(format));
    }
  }
  return fields;
}

std::string format_repr(const Format& format) {
  std::string text = "Format('" + std::string(format.spec->name) + "'";
  for (const FieldSpec& field : format_fields()) {
    const FieldValue value = field.get(format);
    const bool says = field.matters(format) || value != field.get(format.spec->defaults);
    if (has_field(*format.spec, field.field) && says) {
      text += ", " + std::string(field.name) + "=" + nb::repr(field_object(value)).c_str();
    }
  }
  return text + ")";
}

const char* python_type(FieldKind kind) noexcept {
  switch (kind) {
    case FieldKind::kTruth:
      return "bool";
    case FieldKind::kNumber:
      return "int";
    case FieldKind::kNumberOrWord:
      return "int | str";
    case FieldKind::kWord:
    case FieldKind::kDType:
      break;
  }
  return "str";
}

std::string field_parameters() {
  std::string text;
  for (const FieldSpec& field : format_fields()) {
    text += (text.empty() ? "" : ", ") + std::string(field.name) + ": " + python_type(field.kind) +
            " | None = None";
  }
  return text;
}

}  // namespace quarrow::python

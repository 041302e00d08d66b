// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/operators.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "bindings.h"
#include "errors.h"
#include "format_argument.h"
#include "python_function.h"
#include "quarrow/containers/container.h"
#include "quarrow/layouts/layout.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

constexpr std::string_view kFormatDoc = R"(A quantization format, as a value.

Parameters
----------
name : str
    A registered name; ``quarrow.formats()`` lists them.
@FIELDS@
Raises
------
UnsupportedFormatError
    The name is unknown, or the format has no such field.
InvalidInputError
    A field cannot take the value.

Examples
--------
>>> import quarrow as qr
>>> qr.Format("int4", group_size=64).group_size
64
>>> qr.Format("int4") == qr.Format("int4", group_size=128)
True
)";

std::string format_doc() {
  std::string fields;
  for (const FieldSpec& field : format_fields()) {
    fields += std::string(field.name) + " : " + accepted_values(field) + "\n    " +
              std::string(field.summary) + "\n";
  }
  constexpr std::string_view kPlace = "@FIELDS@";
  return std::string(kFormatDoc).replace(kFormatDoc.find(kPlace), kPlace.size(), fields);
}

std::size_t hash_of(const Format& format) {
  std::size_t hash = std::hash<const void*>()(format.spec);
  for (const FieldSpec& field : format_fields()) {
    hash = (hash ^ std::hash<FieldValue>()(field.get(format))) * 0x9E3779B97F4A7C15U;
    hash ^= hash >> 29U;
  }
  return hash;
}

// What describes the format, whether it may be set or not, by name.
nb::dict facts_of(const Format& format) {
  nb::dict facts;
  for (const FieldSpec& field : format_fields()) {
    if (field.use == FieldUse::kStored && describes(*format.spec, field.field)) {
      facts[nb::cast(field.name)] = field_object(field.get(format));
    }
  }
  return facts;
}

nb::list formats() {
  const nb::object description =
      nb::module_::import_("quarrow.descriptions").attr("FormatDescription");
  nb::list all;
  for (const FormatSpec& spec : registry()) {
    const Format defaults = default_format(spec);
    all.append(
        description(spec.name, spec.summary, spec.bits, nb::tuple(fields_of(defaults)), defaults));
  }
  return all;
}

// The fields that make a difference to a file, for the options of a command.
nb::list file_fields() {
  const nb::object description =
      nb::module_::import_("quarrow.descriptions").attr("FieldDescription");
  nb::list all;
  for (const FieldSpec& field : format_fields()) {
    if (field.use == FieldUse::kMemory) continue;
    nb::list words;
    for (const std::string_view word : field.words) words.append(word);
    nb::list formats;
    for (const FormatSpec& spec : registry()) {
      if (has_field(spec, field.field)) formats.append(spec.name);
    }
    all.append(description(field.name, python_type(field.kind), nb::tuple(words), field.summary,
                           nb::tuple(formats)));
  }
  return all;
}

// nanobind notes every object of ours in a table, and grows it where nothing may be thrown: a lack
// of memory would end the process there. The table does not shrink, so now it has room for as many.
void make_room_for_objects() {
  constexpr int kObjects = 4096;
  const Format any = default_format(*registry().begin());
  nb::list objects;
  for (int i = 0; i < kObjects; ++i) {
    objects.append(any);
  }
}

}  // namespace

void bind_format(nb::module_& m) {
  static const std::string doc = format_doc();
  static const std::string init_signature =
      "def __init__(self, name: str, *, " + field_parameters() + ") -> None";
  static const std::string replace_signature =
      "def replace(self, *, " + field_parameters() + ") -> Format";

  nb::class_<Format> cls(m, "Format", doc.c_str(), nb::is_final());
  cls.def(
         "__init__",
         [](Format* self, nb::handle name, const nb::kwargs& fields) {
           new (self) Format(format_argument(name, fields));
         },
         "name"_a.none(), "fields"_a, nb::sig(init_signature.c_str()))
      .def(
          "replace",
          [](nb::handle self, const nb::kwargs& fields) { return format_argument(self, fields); },
          "fields"_a, nb::sig(replace_signature.c_str()),
          "The same format with the given fields changed.")
      .def_prop_ro(
          "name", [](const Format& self) { return self.spec->name; }, "The registered name.")
      .def_prop_ro(
          "bits", [](const Format& self) { return self.spec->bits; }, "Bits of a code.")
      .def("fields", &fields_of, nb::sig("def fields(self) -> dict[str, int | str | bool]"),
           "The fields that this kind of format has, with their values.")
      .def("facts", &facts_of, nb::sig("def facts(self) -> dict[str, int | str | bool]"),
           "What its stored tensors have in common, whether it may be set or not.")
      .def(nb::self == nb::self,  // NOLINT(misc-redundant-expression): nanobind's spelling
           nb::sig("def __eq__(self, other: object, /) -> bool"))
      .def("__hash__", &hash_of)
      .def("__repr__", &format_repr)
      .def(
          "__copy__", [](nb::handle self) { return nb::borrow(self); },
          nb::sig("def __copy__(self) -> Format"))
      .def(
          "__deepcopy__", [](nb::handle self, nb::handle) { return nb::borrow(self); }, "memo"_a,
          nb::sig("def __deepcopy__(self, memo: object) -> Format"))
      .def(
          "__getstate__",
          [](const Format& self) { return nb::make_tuple(self.spec->name, fields_of(self)); },
          nb::sig("def __getstate__(self) -> tuple[str, dict[str, int | str | bool]]"))
      .def(
          "__setstate__",
          [](Format* self, const nb::tuple& state) {
            if (nb::len(state) != 2 || !nb::isinstance<nb::dict>(state[1])) {
              raise_invalid_input("the state of a Format is (name, fields), not " +
                                  short_repr(state));
            }
            const nb::object format =
                nb::type<Format>()(state[0], **nb::borrow<nb::dict>(state[1]));
            new (self) Format(nb::cast<Format&>(format));
          },
          "state"_a,
          nb::sig("def __setstate__(self, state: tuple[str, dict[str, int | str | bool]]) -> "
                  "None"));
  for (const FieldSpec& field : format_fields()) {
    static std::deque<std::string> signatures;
    signatures.push_back("def " + std::string(field.name) + "(self) -> " + python_type(field.kind) +
                         " | None");
    cls.def_prop_ro(
        field.name.data(),
        [&field](const Format& self) {
          return describes(*self.spec, field.field) ? field_object(field.get(self)) : nb::none();
        },
        nb::sig(signatures.back().c_str()), field.summary.data());
  }
  refuse_other_arguments(cls);

  m.def(
      "runtime_of",
      [](const Format& format) -> std::string_view {
        // A format has one runtime, whatever its container.
        for (const ContainerSpec& container : containers()) {
          const Layout* layout = find_layout(format, container.container);
          if (layout == nullptr) continue;
          return layout->scheme->reader.empty() ? "any" : name_of(layout->scheme->runtime);
        }
        return name_of(Runtime::kNone);
      },
      "format"_a, nb::sig("def runtime_of(format: Format) -> str"),
      "Whose loader decides what a file of that format may hold quantized, or 'none'; 'any' where "
      "every loader of that dtype reads it.");
  m.def("file_fields", &file_fields,
        nb::sig("def file_fields() -> list[quarrow.descriptions.FieldDescription]"),
        "The fields that make a difference to a file.");
  m.def("formats", &formats,
        nb::sig("def formats() -> list[quarrow.descriptions.FormatDescription]"),
        R"(Every format that works in this build.

Returns
-------
list of FormatDescription
    Named tuples ``(name, summary, bits, fields, defaults)``.

Examples
--------
>>> import quarrow as qr
>>> [each.name for each in qr.formats()]
['int8', 'int4', 'int2', 'int8_rowwise', 'fp8_e4m3', 'fp8_e5m2', 'q8_0', 'q5_1', 'q5_0', 'q4_1', 'q4_0']
)");
  make_room_for_objects();
}

}  // namespace quarrow::python

// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/operators.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <functional>

#include "bindings.h"
#include "errors.h"
#include "format_argument.h"
#include "python_function.h"
#include "quarrow/layouts/layout.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

constexpr const char* kFormatDoc = R"(A quantization format, as a value.

Parameters
----------
name : str
    A registered name; ``quarrow.formats()`` lists them.
group_size : int, "row" or "tensor", optional
    How many columns share a scale.
symmetric : bool, optional
    Signed codes around zero, without zero points.
scale_dtype : "float32", "float16" or "bfloat16", optional
    What scales are rounded to.
packed : bool, optional
    Several 4-bit or 2-bit codes in a byte. No effect on 8 bits.
rounding : "nearest" or "stochastic", optional
    How values between two codes are rounded.
seed : int, optional
    Of stochastic rounding; the layer's name counts too.

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

constexpr const char* kFieldsSignature =
    "group_size: int | str | None = None, symmetric: bool | None = None, "
    "scale_dtype: str | None = None, packed: bool | None = None, "
    "rounding: str | None = None, seed: int | None = None";

std::size_t hash_of(const Format& format) {
  std::size_t hash = std::hash<const void*>()(format.spec);
  const auto mix = [&hash](std::uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15U;
    hash ^= hash >> 29U;
  };
  mix(static_cast<std::uint64_t>(format.group_size.kind));
  mix(format.group_size.columns);
  mix(static_cast<std::uint64_t>(format.symmetric) | (format.packed ? 2U : 0U));
  mix(static_cast<std::uint64_t>(format.scale_dtype));
  mix(static_cast<std::uint64_t>(format.rounding));
  mix(format.seed);
  return hash;
}

// Every field that the format has, by name.
nb::dict fields_of(const Format& format) {
  nb::dict fields;
  const FormatSpec& spec = *format.spec;
  if (has_field(spec, FormatField::kGroupSize)) {
    fields["group_size"] = group_size_object(format.group_size);
  }
  if (has_field(spec, FormatField::kSymmetric)) {
    fields["symmetric"] = format.symmetric;
  }
  if (has_field(spec, FormatField::kScaleDType)) {
    fields["scale_dtype"] = name_of(format.scale_dtype);
  }
  if (has_field(spec, FormatField::kPacked)) {
    fields["packed"] = format.packed;
  }
  if (has_field(spec, FormatField::kRounding)) {
    fields["rounding"] = rounding_name(format.rounding);
    fields["seed"] = format.seed;
  }
  return fields;
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
  static const std::string init_signature =
      "def __init__(self, name: str, *, " + std::string(kFieldsSignature) + ") -> None";
  static const std::string replace_signature =
      "def replace(self, *, " + std::string(kFieldsSignature) + ") -> Format";

  nb::class_<Format> cls(m, "Format", kFormatDoc, nb::is_final());
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
      .def_prop_ro(
          "group_size", [](const Format& self) { return group_size_object(self.group_size); },
          nb::sig("def group_size(self) -> int | str"),
          "How many columns share a scale: a number, 'row' or 'tensor'.")
      .def_ro("symmetric", &Format::symmetric, "Signed codes, without zero points.")
      .def_prop_ro(
          "scale_dtype", [](const Format& self) { return name_of(self.scale_dtype); },
          "What scales are rounded to.")
      .def_ro("packed", &Format::packed, "Several codes in a byte.")
      .def_prop_ro(
          "rounding", [](const Format& self) { return rounding_name(self.rounding); },
          "'nearest' or 'stochastic'.")
      .def_ro("seed", &Format::seed, "Of stochastic rounding.")
      .def("fields", &fields_of, nb::sig("def fields(self) -> dict[str, int | str | bool]"),
           "The fields that this kind of format has, with their values.")
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
  refuse_other_arguments(cls);

  m.def(
      "runtime_of",
      [](std::string_view format) {
        const Layout* layout = find_layout(format, Container::kSafetensors);
        return name_of(layout == nullptr ? Runtime::kNone : layout->scheme->runtime);
      },
      "format"_a, nb::sig("def runtime_of(format: str) -> str"),
      "Whose loader decides what a file of that format may hold quantized, or 'none'.");
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
['int8', 'int4', 'int2', 'int8_rowwise']
)");
  make_room_for_objects();
}

}  // namespace quarrow::python

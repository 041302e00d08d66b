// SPDX-License-Identifier: Apache-2.0
#include "parts_argument.h"

#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "errors.h"
#include "open_checkpoint.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

std::optional<Role> role_of(nb::handle name) {
  for (std::size_t i = 0; i < kRoles; ++i) {
    const auto role = static_cast<Role>(i);
    if (PyUnicode_Check(name.ptr()) && name.equal(text_object(name_of(role)))) return role;
  }
  return std::nullopt;
}

bool is_mapping(nb::handle object) {
  return nb::isinstance(object, nb::module_::import_("collections.abc").attr("Mapping"));
}

// Of the first formats, and of the constructor.
constexpr std::array kFirstRoles = {Role::kCodes, Role::kScales, Role::kZeroPoints};

bool has_first_alone(const Encoding& encoding) {
  return std::ranges::all_of(encoding.parts(), [](const PartSpec& part) {
    return std::ranges::find(kFirstRoles, part.role) != kFirstRoles.end();
  });
}

}  // namespace

PerRole<nb::handle> GivenParts::handles() const noexcept {
  PerRole<nb::handle> handles;
  std::ranges::copy(arrays.items, handles.items.begin());
  return handles;
}

GivenParts parts_argument(nb::handle mapping) {
  GivenParts given;
  if (!is_mapping(mapping)) {
    raise_invalid_input("the parts must be a mapping of names to arrays, not " +
                        short_repr(mapping.type()));
  }
  // A dict of it, whatever its items() are.
  const nb::dict parts = nb::cast<nb::dict>(nb::handle(&PyDict_Type)(mapping));
  for (const auto item : parts.items()) {
    const std::optional<Role> role = role_of(item[0]);
    if (!role) raise_invalid_input("there is no part " + short_repr(item[0]));
    given.arrays[*role] = nb::object(item[1]);
  }
  return given;
}

GivenParts parts_argument(nb::handle given, const Encoding& encoding, const char* wanted,
                          nb::handle name) {
  GivenParts parts;
  if (nb::isinstance<nb::tuple>(given)) {
    const std::size_t count = nb::len(given);
    if (count == encoding.parts().size()) {
      for (std::size_t i = 0; i < count; ++i) {
        parts.arrays[encoding.parts()[i].role] = nb::object(given[i]);
      }
      return parts;
    }
    if (count == kFirstRoles.size() && has_first_alone(encoding)) {
      for (std::size_t i = 0; i < count; ++i) parts.arrays[kFirstRoles[i]] = nb::object(given[i]);
      return parts;
    }
  } else if (is_mapping(given)) {
    return parts_argument(given);
  }
  std::string names;
  for (const PartSpec& part : encoding.parts()) {
    names.append(names.empty() ? "" : ", ").append(name_of(part.role));
  }
  const bool is_tuple = nb::isinstance<nb::tuple>(given);
  const std::string got =
      is_tuple ? "a tuple of " + std::to_string(nb::len(given)) : short_repr(given.type());
  raise_invalid_input(std::string(wanted) + " (" + names + "), not " + got, name);
}

}  // namespace quarrow::python

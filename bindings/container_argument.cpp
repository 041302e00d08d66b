// SPDX-License-Identifier: Apache-2.0
#include "container_argument.h"

#include <nanobind/stl/string_view.h>

#include <optional>
#include <string>

#include "errors.h"
#include "quarrow/layouts/layout.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {

Container container_argument(std::string_view name) {
  const std::optional<Container> found = find_container(name);
  if (!found) raise_invalid_input("a container is one of container_names()");
  return *found;
}

std::optional<Runtime> runtime_argument(nb::handle runtime) {
  if (runtime.is_none()) return std::nullopt;
  std::string_view name;
  const bool is_text = nb::try_cast(runtime, name);
  const std::optional<Runtime> found = is_text ? find_runtime(name) : std::nullopt;
  if (!found) raise_invalid_input("a runtime is 'comfyui' or 'none'");
  return found;
}

void check_formats(const std::vector<Format>& formats, Container container) {
  for (const Format& format : formats) {
    if (find_layout(format, container) != nullptr) continue;
    std::string known;
    for (const FormatSpec& spec : registry()) {
      if (find_layout(default_format(spec), container) == nullptr) continue;
      known += known.empty() ? "" : ", ";
      known += spec.name;
    }
    std::string other = "no file";
    for (const ContainerSpec& each : containers()) {
      if (find_layout(format, each.container) != nullptr)
        other = std::string(each.ending) + " files";
    }
    const std::string name(name_of(container));
    raise_unsupported_format("format '" + std::string(format.spec->name) + "' lies in " + other +
                             "; " + name + " files can carry: " + known);
  }
}

void bind_containers(nb::module_& m) {
  m.def(
      "container_of",
      [](const nb::bytes& path) -> nb::object {
        const auto found = container_of_name({path.c_str(), path.size()});
        return found ? nb::cast(name_of(*found)) : nb::none();
      },
      "path"_a, nb::sig("def container_of(path: bytes) -> str | None"),
      "The kind of file that a name asks for by its ending.");
  m.def(
      "container_names",
      [] {
        nb::list names;
        for (const ContainerSpec& each : containers()) names.append(nb::cast(each.name));
        return names;
      },
      nb::sig("def container_names() -> list[str]"), "The kinds of files that can be written.");
}

}  // namespace quarrow::python

// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include <string_view>

#include "bindings.h"
#include "call_context.h"
#include "quarrow/core/executor.h"
#include "quarrow/core/target.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

nb::dict dependencies() {
  nb::dict versions;
  versions["highway"] = QUARROW_HIGHWAY_VERSION;
  versions["nlohmann_json"] = QUARROW_JSON_VERSION;
  versions["nanobind"] = NB_TOSTRING(NB_VERSION_MAJOR) "." NB_TOSTRING(
      NB_VERSION_MINOR) "." NB_TOSTRING(NB_VERSION_PATCH);
  versions["numpy"] = nb::module_::import_("numpy").attr("__version__");
  return versions;
}

nb::dict info() {
  nb::list runnable;
  for (const Target target : runnable_targets()) {
    runnable.append(name_of(target));
  }
  nb::dict build;
  build["compiler"] = QUARROW_COMPILER;
  build["type"] = QUARROW_BUILD_TYPE;
  build["flags"] = QUARROW_BUILD_FLAGS;
  nb::dict facts;
  facts["version"] = QUARROW_VERSION;
  facts["isa"] = name_of(target_in_use());
  facts["runnable_isas"] = runnable;
  facts["threads"] = threads_argument(nb::none());
  facts["cpus"] = available_cpus();
  facts["executor"] = executor_in_use().name();
  facts["build"] = build;
  facts["dependencies"] = dependencies();
  return facts;
}

}  // namespace

void bind_info(nb::module_& m) {
  m.def("version", [] { return std::string_view(QUARROW_VERSION); }, "Of this package.");
  m.def("info", &info, nb::sig("def info() -> dict[str, typing.Any]"),
        R"(What this build is and how it runs here.

Returns
-------
dict
    ``version``, ``isa`` (the instruction set in use), ``runnable_isas`` (best first), ``threads``
    (the default), ``cpus``, ``executor``, ``build`` and ``dependencies``.

Raises
------
InvalidInputError
    QUARROW_FORCE_ISA, QUARROW_EXECUTOR or QUARROW_NUM_THREADS cannot be honoured.

Examples
--------
>>> import quarrow as qr
>>> info = qr.info()
>>> info["isa"] in info["runnable_isas"]
True
)");
}

}  // namespace quarrow::python

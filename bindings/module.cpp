// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>

#include "bindings.h"

NB_MODULE(_core, m) {
  m.doc() = "The compiled part of quarrow: borrows arrays, owns results, holds no policy.";
#ifdef NDEBUG
  // What is alive when the interpreter ends is the program's own affair: hypothesis, for one, keeps
  // the parameters of its tests. Debug builds report it.
  nanobind::set_leak_warnings(false);
#endif
  quarrow::python::bind_format(m);
  quarrow::python::bind_quantized_tensor(m);
  quarrow::python::bind_quantize(m);
  quarrow::python::bind_batch(m);
  quarrow::python::bind_arrow(m);
  quarrow::python::bind_info(m);
  quarrow::python::bind_metrics(m);
  quarrow::python::bind_checkpoint(m);
  quarrow::python::bind_files(m);
}

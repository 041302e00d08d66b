// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>

#ifdef QUARROW_BIND_FILES
#include "bind_files.h"
#endif
#include "bindings.h"

NB_MODULE(_core, m) {
  m.doc() = "The compiled part of quarrow: borrows arrays, owns results, holds no policy.";
  quarrow::python::bind_format(m);
  quarrow::python::bind_quantized_tensor(m);
  quarrow::python::bind_quantize(m);
  quarrow::python::bind_info(m);
#ifdef QUARROW_BIND_FILES
  quarrow::python::bind_files(m);
#endif
}

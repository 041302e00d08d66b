// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>

#include "bindings.h"
#include "interpreter_lock.h"
#include "numpy_arrays.h"
#include "python_function.h"

// PyInit__core() below makes it.
NB_MODULE(_core_of_main, m) {
  m.doc() = "The compiled part of quarrow: borrows arrays, owns results, holds no policy.";
#ifdef NDEBUG
  // What is alive when the interpreter ends is the program's own affair: hypothesis, for one, keeps
  // the parameters of its tests. Debug builds report it.
  nanobind::set_leak_warnings(false);
#endif
  quarrow::python::import_numpy();
  quarrow::python::watch_interpreter_end();
  quarrow::python::bind_format(m);
  quarrow::python::bind_quantized_tensor(m);
  quarrow::python::bind_quantize(m);
  quarrow::python::bind_dequantize(m);
  quarrow::python::bind_batch(m);
  quarrow::python::bind_arrow(m);
  quarrow::python::bind_info(m);
  quarrow::python::bind_metrics(m);
  quarrow::python::bind_checkpoint(m);
  quarrow::python::bind_files(m);
  quarrow::python::bind_lists(m);
  quarrow::python::make_python_functions(m);
}

namespace {

// nanobind keeps its types once for the process: a second interpreter's would take the place of
// those of the first, which then knows its own objects no more. So nothing is registered there.
int make_in_main_interpreter(PyObject* module) {
  if (PyInterpreterState_GetID(PyInterpreterState_Get()) != 0) {
    PyErr_SetString(PyExc_ImportError,
                    "quarrow cannot be imported in a subinterpreter; import it in the main "
                    "interpreter, or use processes (multiprocessing) instead");
    return -1;
  }
  return nanobind__core_of_main_exec(module);
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier, readability-identifier-naming): CPython's name
extern "C" NB_EXPORT PyObject* PyInit__core();
extern "C" PyObject* PyInit__core() {
  // NOLINTEND(bugprone-reserved-identifier, readability-identifier-naming)
  // Asked in each interpreter's own making of the module: newer versions of Python call this
  // function in the main interpreter first, whoever imports.
  PyObject* const definition = PyInit__core_of_main();
  if (definition != nullptr) {
    for (PyModuleDef_Slot* slot = reinterpret_cast<PyModuleDef*>(definition)->m_slots;
         slot->slot != 0; ++slot) {
      if (slot->slot == Py_mod_exec) {
        slot->value = reinterpret_cast<void*>(&make_in_main_interpreter);
      }
    }
  }
  return definition;
}

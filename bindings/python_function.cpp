// SPDX-License-Identifier: Apache-2.0
#include "python_function.h"

#if PY_VERSION_HEX < 0x030C0000
#include <structmember.h>
#define Py_T_PYSSIZET T_PYSSIZET
#define Py_READONLY READONLY
#endif

#include <array>
#include <cstddef>
#include <new>
#include <string>
#include <string_view>

#include "errors.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

struct PythonFunction {
  PyObject_HEAD vectorcallfunc vectorcall;
  PyObject* function;  // of nanobind
  PyObject* weak_references;
};

PythonFunction* inside(PyObject* self) noexcept { return reinterpret_cast<PythonFunction*>(self); }

nb::object signatures(const char* function) {
  return nb::module_::import_("quarrow.signatures").attr(function);
}

// Runs what may throw where only Python's errors may leave.
template <typename Body>
PyObject* guarded(Body&& body) noexcept {
  try {
    return body().release().ptr();
  } catch (nb::python_error& error) {
    error.restore();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

bool is_refusal_of_arguments(const nb::python_error& error, nb::handle function) {
  // One that passed through Python code is that code's own.
  const nb::object traceback = nb::steal(PyException_GetTraceback(error.value().ptr()));
  if (!error.type().is(nb::handle(PyExc_TypeError)) || traceback.is_valid()) {
    return false;
  }
  // Not str(error), which may run a caller's code.
  const nb::object words = error.value().attr("args");
  if (nb::len(words) != 1) {
    return false;
  }
  const nb::object text = words[0];
  const nb::object start =
      nb::str("{}(): incompatible function arguments.").attr("format")(function.attr("__name__"));
  return PyUnicode_Check(text.ptr()) != 0 &&
         PyUnicode_Tailmatch(text.ptr(), start.ptr(), 0, PY_SSIZE_T_MAX, -1) == 1;
}

// Puts Python's words in the place of nanobind's, when the error that is set is one of arguments.
void explain(PyObject* self, PyObject* const* arguments, std::size_t count, PyObject* keywords) {
  const nb::handle function = inside(self)->function;
  nb::python_error error;
  if (!is_refusal_of_arguments(error, function)) {
    throw nb::python_error(error);
  }
  nb::list positional;
  const auto positional_count = static_cast<std::size_t>(PyVectorcall_NARGS(count));
  for (std::size_t i = 0; i < positional_count; ++i) {
    positional.append(nb::handle(arguments[i]));
  }
  nb::dict named;
  if (keywords != nullptr) {
    std::size_t i = positional_count;
    for (const nb::handle name : nb::borrow<nb::tuple>(keywords)) {
      named[name] = nb::handle(arguments[i++]);
    }
  }
  const nb::object message = signatures("wrong_call")(function, nb::tuple(positional), named);
  PyErr_SetObject(PyExc_TypeError, message.ptr());
  throw nb::python_error();
}

PyObject* call(PyObject* self, PyObject* const* arguments, std::size_t count, PyObject* keywords) {
  PyObject* const result = PyObject_Vectorcall(inside(self)->function, arguments, count, keywords);
  if (result == nullptr && PyErr_ExceptionMatches(PyExc_TypeError) != 0) {
    return guarded([&]() -> nb::object {
      explain(self, arguments, count, keywords);
      return {};
    });
  }
  return result;
}

PyObject* bind(PyObject* self, PyObject* instance, PyObject* /*type*/) {
  if (instance == nullptr) {
    return nb::borrow(self).release().ptr();
  }
  return guarded([&]() -> nb::object {
    return nb::module_::import_("types").attr("MethodType")(nb::handle(self), nb::handle(instance));
  });
}

// What lies in a class as a function of C does is not bound to an instance.
PyObject* do_not_bind(PyObject* self, PyObject* /*instance*/, PyObject* /*type*/) {
  return nb::borrow(self).release().ptr();
}

void destroy(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  if (inside(self)->weak_references != nullptr) {
    PyObject_ClearWeakRefs(self);
  }
  Py_XDECREF(inside(self)->function);
  PyObject_Free(self);
  Py_DECREF(reinterpret_cast<PyObject*>(type));
}

PyObject* represent(PyObject* self) {
  return guarded([&]() -> nb::object {
    const nb::handle function = inside(self)->function;
    return nb::str("<compiled function {}>").attr("format")(function.attr("__qualname__"));
  });
}

PyObject* reduce(PyObject* self, PyObject* /*unused*/) {
  return guarded([&]() -> nb::object {
    return nb::object(nb::handle(inside(self)->function).attr("__qualname__"));
  });
}

// An attribute of nanobind's function; the closure is its name.
PyObject* attribute(PyObject* self, void* closure) {
  return PyObject_GetAttrString(inside(self)->function, static_cast<const char*>(closure));
}

// What quarrow.signatures makes of nanobind's function; the closure is the name of what does.
PyObject* made_attribute(PyObject* self, void* closure) {
  return guarded([&]() -> nb::object {
    return signatures(static_cast<const char*>(closure))(nb::handle(inside(self)->function));
  });
}

PyObject* wrapped(PyObject* self, void* /*closure*/) {
  return nb::borrow(inside(self)->function).release().ptr();
}

void* closure(const char* text) noexcept { return const_cast<char*>(text); }

nb::object make_type(const char* type_name, bool is_method) {
  static std::array<PyMemberDef, 3> members{
      {{"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(PythonFunction, vectorcall), Py_READONLY,
        nullptr},
       {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(PythonFunction, weak_references), Py_READONLY,
        nullptr},
       {}}};
  static std::array<PyMethodDef, 2> methods{
      {{"__reduce__", &reduce, METH_NOARGS, "Pickled by its name."}, {}}};
  static std::array<PyGetSetDef, 8> attributes{
      {{"__name__", &attribute, nullptr, nullptr, closure("__name__")},
       {"__qualname__", &attribute, nullptr, nullptr, closure("__qualname__")},
       {"__doc__", &made_attribute, nullptr, nullptr, closure("doc_of")},
       {"__signature__", &made_attribute, nullptr, nullptr, closure("signature_of")},
       {"__annotations__", &made_attribute, nullptr, nullptr, closure("annotations_of")},
       {"__nb_function__", &wrapped, nullptr, nullptr, nullptr},
       {}}};
  std::array<PyType_Slot, 9> slots{
      {{Py_tp_call, reinterpret_cast<void*>(&PyVectorcall_Call)},
       {Py_tp_dealloc, reinterpret_cast<void*>(&destroy)},
       {Py_tp_repr, reinterpret_cast<void*>(&represent)},
       {Py_tp_descr_get, reinterpret_cast<void*>(is_method ? &bind : &do_not_bind)},
       {Py_tp_members, members.data()},
       {Py_tp_methods, methods.data()},
       {Py_tp_getset, attributes.data()},
       {}}};
  // Methods get their instance as an argument, without an object that binds it.
  const unsigned long binding = is_method ? Py_TPFLAGS_METHOD_DESCRIPTOR : 0;
  PyType_Spec spec{
      type_name, sizeof(PythonFunction), 0,
      static_cast<unsigned>(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
                            Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE | binding),
      slots.data()};
  nb::object type = nb::steal(PyType_FromSpec(&spec));
  if (!type.is_valid()) {
    throw nb::python_error();
  }
  return type;
}

nb::object python_function(nb::handle type, nb::handle function) {
  auto* const made = PyObject_New(PythonFunction, reinterpret_cast<PyTypeObject*>(type.ptr()));
  if (made == nullptr) {
    throw nb::python_error();
  }
  made->vectorcall = &call;
  made->function = nb::borrow(function).release().ptr();
  made->weak_references = nullptr;
  return nb::steal(reinterpret_cast<PyObject*>(made));
}

std::string kind_of(nb::handle object) { return utf8_of(object.type().attr("__name__")); }

// A copy: what is replaced meanwhile stands in the original.
nb::dict members_of(nb::handle owner) {
  return nb::borrow<nb::dict>(
      nb::module_::import_("builtins").attr("dict")(owner.attr("__dict__")));
}

// Python's own way to call operators and the like is not a caller's affair.
bool is_called_by_name(std::string_view name) {
  return name == "__init__" || !name.starts_with("__");
}

}  // namespace

void make_python_functions(const nb::module_& module) {
  const nb::object function_type = make_type("quarrow._core.function", false);
  const nb::object method_type = make_type("quarrow._core.method", true);
  for (const auto [name, value] : members_of(module)) {
    if (kind_of(value) == "nb_func") {
      nb::setattr(module, name, python_function(function_type, value));
    } else if (PyType_Check(value.ptr()) != 0) {
      for (const auto [member, method] : members_of(value)) {
        if (kind_of(method) == "nb_method" && is_called_by_name(utf8_of(member))) {
          nb::setattr(value, member, python_function(method_type, method));
        }
      }
    }
  }
}

void raise_wrong_construction(nb::handle type, const nb::args& arguments,
                              const nb::kwargs& keywords) {
  const nb::object constructor = type.attr("__init__").attr("__nb_function__");
  // The instance is half made; any other object stands for it.
  const nb::object message =
      signatures("wrong_call")(constructor, nb::make_tuple(nb::none()) + arguments, keywords);
  PyErr_SetObject(PyExc_TypeError, message.ptr());
  throw nb::python_error();
}

}  // namespace quarrow::python

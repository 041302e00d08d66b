// SPDX-License-Identifier: Apache-2.0
#include "python_attribute.h"

#include <array>

namespace nb = nanobind;

namespace quarrow::python {
namespace {

struct PythonAttribute {
  PyObject_HEAD Getter getter;
  PyTypeObject* owner;  // which holds this
  PyObject* property;   // of nanobind
};

PythonAttribute* inside(PyObject* self) noexcept {
  return reinterpret_cast<PythonAttribute*>(self);
}

PyObject* get(PyObject* self, PyObject* instance, PyObject* type) {
  if (instance == nullptr) return nb::borrow(self).release().ptr();
  const PythonAttribute& own = *inside(self);
  // What was made by __new__ alone has no value yet.
  if (Py_TYPE(instance) == own.owner && nb::inst_ready(instance)) return own.getter(instance);
  return PyObject_CallMethod(own.property, "__get__", "OO", instance,
                             type == nullptr ? Py_None : type);
}

// The property refuses, in Python's words.
int set(PyObject* self, PyObject* instance, PyObject* value) {
  PyObject* const property = inside(self)->property;
  const nb::object done =
      nb::steal(value == nullptr ? PyObject_CallMethod(property, "__delete__", "O", instance)
                                 : PyObject_CallMethod(property, "__set__", "OO", instance, value));
  return done.is_valid() ? 0 : -1;
}

void destroy(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  Py_DECREF(inside(self)->property);
  PyObject_Free(self);
  Py_DECREF(reinterpret_cast<PyObject*>(type));
}

PyObject* property_attribute(PyObject* self, void* name) {
  return PyObject_GetAttrString(inside(self)->property, static_cast<const char*>(name));
}

PyObject* wrapped(PyObject* self, void* /*closure*/) {
  return nb::borrow(inside(self)->property).release().ptr();
}

nb::object make_type() {
  static std::array<PyGetSetDef, 4> attributes{
      {{"__doc__", &property_attribute, nullptr, nullptr, const_cast<char*>("__doc__")},
       {"fget", &property_attribute, nullptr, nullptr, const_cast<char*>("fget")},
       {"__nb_property__", &wrapped, nullptr, nullptr, nullptr},
       {}}};
  std::array<PyType_Slot, 5> slots{{{Py_tp_dealloc, reinterpret_cast<void*>(&destroy)},
                                    {Py_tp_descr_get, reinterpret_cast<void*>(&get)},
                                    {Py_tp_descr_set, reinterpret_cast<void*>(&set)},
                                    {Py_tp_getset, attributes.data()},
                                    {}}};
  PyType_Spec spec{"quarrow._core.attribute", sizeof(PythonAttribute), 0,
                   static_cast<unsigned>(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION |
                                         Py_TPFLAGS_IMMUTABLETYPE),
                   slots.data()};
  nb::object type = nb::steal(PyType_FromSpec(&spec));
  if (!type.is_valid()) throw nb::python_error();
  return type;
}

}  // namespace

void read_directly(nb::handle type, const char* name, Getter getter) {
  const nb::object own_type = make_type();
  nb::object property = type.attr(name);
  auto* const made = PyObject_New(PythonAttribute, reinterpret_cast<PyTypeObject*>(own_type.ptr()));
  if (made == nullptr) throw nb::python_error();
  made->getter = getter;
  made->owner = reinterpret_cast<PyTypeObject*>(type.ptr());
  made->property = property.release().ptr();
  nb::setattr(type, name, nb::steal(reinterpret_cast<PyObject*>(made)));
}

}  // namespace quarrow::python

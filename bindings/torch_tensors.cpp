// SPDX-License-Identifier: Apache-2.0
#include "torch_tensors.h"

#include <algorithm>
#include <atomic>
#include <initializer_list>
#include <utility>
#include <vector>

#include "element_types.h"
#include "errors.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

constexpr const char* kNotTaken = "dltensor";

// DLManagedTensor of the specification.
struct ManagedTensor {
  nb::dlpack::dltensor tensor;
  void* context;
  void (*deleter)(ManagedTensor*);
};

// One that owns what it points to.
struct Exported : ManagedTensor {
  std::vector<std::int64_t> shape;
  std::shared_ptr<std::byte> memory;
};

// A tensor of torch whose class adds nothing to it, so that it is what lies in its memory.
bool is_plain(nb::handle tensor, const Torch& torch) {
  return tensor.type().is(torch.tensor) || tensor.type().is(torch.parameter);
}

// What a method without arguments returns; nothing when it refuses.
nb::object ask(nb::handle object, PyObject* method) {
  PyObject* const arguments[] = {object.ptr()};
  nb::object answer = nb::steal(PyObject_VectorcallMethod(method, arguments, 1, nullptr));
  if (!answer.is_valid()) {
    is_refusal();
  }
  return answer;
}

// Whether a torch tensor stands for the negative of what lies in its memory: its export does not
// say.
bool is_negated(nb::handle tensor) {
  static PyObject* const is_neg = PyUnicode_InternFromString("is_neg");
  return ask(tensor, is_neg).is(nb::handle(Py_True));
}

}  // namespace

const Torch* imported_torch() {
  static std::atomic<const Torch*> found = nullptr;
  if (found == nullptr) {
    const nb::object none = nb::none();
    const nb::handle module = PyDict_GetItemString(PyImport_GetModuleDict(), "torch");
    if (!module.is_valid()) {
      return nullptr;
    }
    const auto find = [&](std::initializer_list<const char*> path) {
      nb::object at = nb::borrow(module);
      for (const char* name : path) {
        at = nb::getattr(at, name, none);
      }
      return at;
    };
    const Torch torch{find({"Tensor"}),
                      find({"nn", "Parameter"}),
                      find({"utils", "dlpack", "to_dlpack"}),
                      find({"_C", "_from_dlpack"}),
                      find({"uint8"}),
                      find({"int8"})};
    // While it is being imported some are missing.
    if (!nb::isinstance<nb::type_object>(torch.tensor) || torch.parameter.is_none() ||
        torch.to_dlpack.is_none() || torch.from_dlpack.is_none()) {
      return nullptr;
    }
    found = new Torch(torch);
  }
  return found;
}

const Torch* torch_of(nb::handle object) {
  const Torch* const torch = imported_torch();
  const bool is_tensor =
      torch != nullptr &&
      PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(object.type().ptr()),
                       reinterpret_cast<PyTypeObject*>(torch->tensor.ptr())) != 0;
  return is_tensor ? torch : nullptr;
}

std::span<const std::byte> storage_of(nb::handle tensor) {
  static PyObject* const untyped_storage = PyUnicode_InternFromString("untyped_storage");
  static PyObject* const data_ptr = PyUnicode_InternFromString("data_ptr");
  static PyObject* const nbytes = PyUnicode_InternFromString("nbytes");
  const nb::object storage = ask(tensor, untyped_storage);
  const nb::object address = storage.is_valid() ? ask(storage, data_ptr) : nb::object();
  const nb::object size = address.is_valid() ? ask(storage, nbytes) : nb::object();
  if (!size.is_valid()) {
    return {};
  }
  return {static_cast<const std::byte*>(PyLong_AsVoidPtr(address.ptr())),
          nb::cast<std::size_t>(size)};
}

nb::object torch_capsule(nb::handle tensor, const Torch& torch) {
  if (!is_plain(tensor, torch) || is_negated(tensor)) {
    return {};
  }
  PyObject* const arguments[] = {tensor.ptr()};
  nb::object capsule = nb::steal(PyObject_Vectorcall(torch.to_dlpack.ptr(), arguments, 1, nullptr));
  if (!capsule.is_valid()) {
    is_refusal();
  }
  return capsule;
}

nb::object new_torch_tensor(const Torch& torch, std::byte* data, ElementType dtype,
                            std::span<const std::uint64_t> shape,
                            std::shared_ptr<std::byte> memory) {
  auto exported = std::make_unique<Exported>();
  exported->shape.assign(shape.begin(), shape.end());
  exported->memory = std::move(memory);
  exported->tensor = {.data = data,
                      .device = {nb::device::cpu::value, 0},
                      .ndim = static_cast<std::int32_t>(shape.size()),
                      .dtype = dlpack_dtype(dtype),
                      .shape = exported->shape.data()};
  exported->context = exported.get();
  exported->deleter = [](ManagedTensor* made) { delete static_cast<Exported*>(made->context); };
  const nb::object capsule = nb::steal(PyCapsule_New(
      static_cast<ManagedTensor*>(exported.get()), kNotTaken, [](PyObject* object) noexcept {
        if (PyCapsule_IsValid(object, kNotTaken) == 0) return;
        auto* left = static_cast<ManagedTensor*>(PyCapsule_GetPointer(object, kNotTaken));
        left->deleter(left);
      }));
  if (!capsule.is_valid()) {
    throw nb::python_error();
  }
  static_cast<void>(exported.release());
  PyObject* const arguments[] = {capsule.ptr()};
  nb::object tensor =
      nb::steal(PyObject_Vectorcall(torch.from_dlpack.ptr(), arguments, 1, nullptr));
  if (!tensor.is_valid()) {
    throw nb::python_error();
  }
  return tensor;
}

}  // namespace quarrow::python

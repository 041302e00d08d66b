// SPDX-License-Identifier: Apache-2.0
#include "dlpack_capsule.h"

#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include "errors.h"
#include "quarrow/core/tensor_view.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

constexpr std::uint32_t kMajorVersion = 1;

// DLManagedTensorVersioned of the specification. Only `version` is the same in every version.
struct VersionedTensor {
  struct {
    std::uint32_t major;
    std::uint32_t minor;
  } version;
  void* context;
  void (*deleter)(VersionedTensor*);
  std::uint64_t flags;
  nb::dlpack::dltensor tensor;
};

// Null when the capsule has another name.
void* contents(nb::handle capsule, const char* name) {
  return PyCapsule_IsValid(capsule.ptr(), name) == 0 ? nullptr
                                                     : PyCapsule_GetPointer(capsule.ptr(), name);
}

void check_shape(const nb::dlpack::dltensor& tensor, nb::handle name) {
  if (tensor.ndim < 0 || (tensor.ndim != 0 && tensor.shape == nullptr)) {
    raise_invalid_input("the DLPack tensor has no shape; its exporter made it wrongly", name);
  }
  if (static_cast<std::size_t>(tensor.ndim) > kMaxDimensions) {
    raise_status(
        {.code = StatusCode::kTooManyDimensions, .count = static_cast<std::uint64_t>(tensor.ndim)},
        {.name = name});
  }
  const std::span shape(tensor.shape, static_cast<std::size_t>(tensor.ndim));
  if (std::ranges::any_of(shape, [](std::int64_t dimension) { return dimension < 0; })) {
    raise_invalid_input(
        "the DLPack tensor has the shape " + shape_text(shape) + "; its exporter made it wrongly",
        name);
  }
  // nanobind multiplies without looking.
  try {
    matrix_view(nullptr, DType::kF16, shape);
  } catch (const StatusError& error) {
    raise_status(error.status(), {.name = name, .shape = shape});
  }
}

}  // namespace

nb::object exported_capsule(nb::handle tensor) {
  const nb::object method = nb::steal(PyObject_GetAttrString(tensor.ptr(), "__dlpack__"));
  if (!method.is_valid()) {
    is_refusal();
    return {};
  }
  // Kept for ever, as the interpreter keeps its own names.
  static PyObject* const keyword = Py_BuildValue("(s)", "max_version");
  static PyObject* const version = Py_BuildValue("(ii)", 1, 1);
  PyObject* const arguments[] = {version};
  nb::object capsule = nb::steal(PyObject_Vectorcall(method.ptr(), arguments, 0, keyword));
  if (!capsule.is_valid() && is_refusal()) {
    // An exporter from before versions.
    capsule = nb::steal(PyObject_CallNoArgs(method.ptr()));
    if (!capsule.is_valid()) {
      is_refusal();
    }
  }
  return capsule;
}

void check_dlpack_capsule(nb::handle capsule, nb::handle name) {
  if (const void* old = contents(capsule, "dltensor")) {
    check_shape(*static_cast<const nb::dlpack::dltensor*>(old), name);
  }
  if (const void* data = contents(capsule, "dltensor_versioned")) {
    const auto& versioned = *static_cast<const VersionedTensor*>(data);
    if (versioned.version.major != kMajorVersion) {
      raise_invalid_input("the tensor is exported as DLPack " +
                              std::to_string(versioned.version.major) + "." +
                              std::to_string(versioned.version.minor) +
                              ", and only version 1 can be read; pass np.asarray(w)",
                          name);
    }
    check_shape(versioned.tensor, name);
  }
}

}  // namespace quarrow::python

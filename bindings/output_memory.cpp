// SPDX-License-Identifier: Apache-2.0
#include "output_memory.h"

#include <utility>

namespace nb = nanobind;

namespace quarrow::python {
namespace {

constexpr const char* kCapsuleName = "quarrow.memory";

}  // namespace

nb::object memory_capsule(std::shared_ptr<std::byte> memory) {
  auto held = std::make_unique<std::shared_ptr<std::byte>>(std::move(memory));
  nb::object capsule =
      nb::steal(PyCapsule_New(held.get(), kCapsuleName, [](PyObject* object) noexcept {
        delete static_cast<std::shared_ptr<std::byte>*>(PyCapsule_GetPointer(object, kCapsuleName));
      }));
  if (!capsule.is_valid()) {
    throw nb::python_error();
  }
  static_cast<void>(held.release());
  return capsule;
}

const std::shared_ptr<std::byte>& memory_of(nb::handle capsule) noexcept {
  return *static_cast<std::shared_ptr<std::byte>*>(
      PyCapsule_GetPointer(capsule.ptr(), kCapsuleName));
}

}  // namespace quarrow::python

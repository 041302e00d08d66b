// SPDX-License-Identifier: Apache-2.0
//
// Tensors of torch, which is not imported here: read through its own export, and made over memory.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "quarrow/core/element_type.h"

namespace quarrow::python {

// What torch calls its things.
struct Torch {
  nanobind::object tensor;
  nanobind::object parameter;
  // Its own export: the __dlpack__ of its tensors is Python code that takes longer than quantizing
  // a small one.
  nanobind::object to_dlpack;
  nanobind::object from_dlpack;
  nanobind::object uint8;
  nanobind::object int8;
};

// Kept for ever once torch has been imported; null before, and for what is no tensor of it.
const Torch* torch_of(nanobind::handle object);
// The same for nothing in particular.
const Torch* imported_torch();

// The capsule of a tensor whose class adds nothing to it, and which stands for what lies in its
// memory; nothing for others.
nanobind::object torch_capsule(nanobind::handle tensor, const Torch& torch);

// Where the storage of a tensor lies; empty where there is none. It can be freed or cut while
// tensors still look at it, and an export does not say so.
std::span<const std::byte> storage_of(nanobind::handle tensor);

// A tensor in C order at `data`, which is a part of `memory`; its storage is that part alone. Not
// for elements below a byte. Raises what torch raises.
nanobind::object new_torch_tensor(const Torch& torch, std::byte* data, ElementType dtype,
                                  std::span<const std::uint64_t> shape,
                                  std::shared_ptr<std::byte> memory);

}  // namespace quarrow::python

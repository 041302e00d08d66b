// SPDX-License-Identifier: Apache-2.0
//
// Where all results come from.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <memory>

namespace quarrow::python {

// `bytes` of uninitialised memory, on a cache line. Throws std::bad_alloc.
std::shared_ptr<std::byte> allocate_output(std::size_t bytes);

// A capsule that keeps such memory alive: the base of every array that lies in it. Needs the lock.
nanobind::object memory_capsule(std::shared_ptr<std::byte> memory);

// What such a capsule keeps alive.
const std::shared_ptr<std::byte>& memory_of(nanobind::handle capsule) noexcept;

}  // namespace quarrow::python

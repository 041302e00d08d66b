// SPDX-License-Identifier: Apache-2.0
//
// Where all results come from.
#pragma once

#include <cstddef>
#include <memory>

namespace quarrow {

// `bytes` of uninitialised memory, on a cache line; large ones in huge pages where the system has
// them. Throws std::bad_alloc.
std::shared_ptr<std::byte> allocate_output(std::size_t bytes);

}  // namespace quarrow

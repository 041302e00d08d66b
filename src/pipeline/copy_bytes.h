// SPDX-License-Identifier: Apache-2.0
//
// Bytes of one file into another.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "quarrow/containers/file.h"

namespace quarrow {

// Copies inside the kernel where the file systems can, else through the caller's buffer. Safe to
// call from any thread.
class ByteCopier {
 public:
  ByteCopier(const File& from, const File& to) noexcept : from_(from), to_(to) {}

  // Returns how many bytes were copied; fewer only at the end of the source. `buffer` may be of any
  // size but 0.
  std::uint64_t copy(std::uint64_t from, std::uint64_t to, std::uint64_t bytes,
                     std::span<std::byte> buffer);

 private:
  std::uint64_t copy_in_kernel(std::uint64_t from, std::uint64_t to, std::uint64_t bytes);

  const File& from_;
  const File& to_;
  std::atomic<bool> in_kernel_ = true;
};

}  // namespace quarrow

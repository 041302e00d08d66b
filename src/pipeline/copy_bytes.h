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

struct FilePosition {
  const File& file;
  std::uint64_t position = 0;
};

// Copies inside the kernel where the file systems can, else through the caller's buffer. Safe to
// call from any thread.
class ByteCopier {
 public:
  // Returns how many bytes were copied; fewer only at the end of the source. `buffer` may be of any
  // size but 0.
  std::uint64_t copy(const FilePosition& from, const FilePosition& to, std::uint64_t bytes,
                     std::span<std::byte> buffer);

 private:
  std::uint64_t copy_in_kernel(const FilePosition& from, const FilePosition& to,
                               std::uint64_t bytes);

  std::atomic<bool> in_kernel_ = true;
};

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// Locks that tell whether the process that writes a file still lives, also when it runs in another
// container or on another host. They go with the last descriptor.
#pragma once

#include <cstdint>
#include <string>

namespace quarrow {

enum class FileLock : std::uint8_t {
  kTaken,
  kHeld,         // by another descriptor
  kUnsupported,  // the file system has no locks: nothing is known of anybody
};

// Never waits. A shared lock needs a descriptor to read, an exclusive one a descriptor to write.
FileLock try_lock(int descriptor) noexcept;
FileLock try_shared_lock(int descriptor) noexcept;

// Whether a path, not through a link, is the name of the open file. A file found by its name and
// then locked may have lost the name in between.
bool is_name_of(const std::string& path, int descriptor) noexcept;

}  // namespace quarrow

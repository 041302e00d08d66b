// SPDX-License-Identifier: Apache-2.0
#include "containers/file_lock.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

#include "containers/interrupted_call.h"

namespace quarrow {
namespace {

FileLock lock(int descriptor, int operation) noexcept {
  if (retry_interrupted([&] { return ::flock(descriptor, operation | LOCK_NB); }) == 0) {
    return FileLock::kTaken;
  }
  return errno == EWOULDBLOCK ? FileLock::kHeld : FileLock::kUnsupported;
}

}  // namespace

FileLock try_lock(int descriptor) noexcept { return lock(descriptor, LOCK_EX); }
FileLock try_shared_lock(int descriptor) noexcept { return lock(descriptor, LOCK_SH); }

bool is_name_of(const std::string& path, int descriptor) noexcept {
  struct stat named{};
  struct stat open{};
  return ::lstat(path.c_str(), &named) == 0 && ::fstat(descriptor, &open) == 0 &&
         named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

}  // namespace quarrow

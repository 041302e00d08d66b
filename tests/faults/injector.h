// SPDX-License-Identifier: Apache-2.0
//
// What the injector counts, and how a test steers it (by ctypes, in the process that preloads it).
#pragma once

#include <cstddef>
#include <iterator>
#include <string_view>

namespace quarrow::faults {

// Functions that do the same are of one kind: openat() is an open().
enum class Call {
  kNew,
  kMalloc,
  kMmap,
  kPthreadCreate,
  kOpen,
  kTmpfile,  // open() with O_TMPFILE
  kFopen,
  kClose,
  kOpendir,
  kReaddir,
  kRead,
  kPread,
  kWrite,
  kPwrite,
  kCopyFileRange,
  kFallocate,
  kFtruncate,
  kFsync,
  kSyncFileRange,
  kFlock,
  kLink,
  kRename,
  kUnlink,
  kReadlink,
  kStat,
  kFstat,
  kFchmod,
  kGetrandom,
  kFcntl,
  kAccess,
  kGetcwd,
};

inline constexpr std::string_view kCallNames[] = {
    "new",       "malloc",    "mmap",      "pthread_create",  "open",
    "tmpfile",   "fopen",     "close",     "opendir",         "readdir",
    "read",      "pread",     "write",     "pwrite",          "copy_file_range",
    "fallocate", "ftruncate", "fsync",     "sync_file_range", "flock",
    "link",      "rename",    "unlink",    "readlink",        "stat",
    "fstat",     "fchmod",    "getrandom", "fcntl",           "access",
    "getcwd",
};
inline constexpr std::size_t kCalls = std::size(kCallNames);
static_assert(kCalls == static_cast<std::size_t>(Call::kGetcwd) + 1);

// Faults that are no errno.
inline constexpr int kShortTransfer = -1;  // half of the bytes
inline constexpr int kEndOfFile = -2;      // no bytes

extern "C" {
// Counts from now on, and lets calls number `from` to `to` (from 1) of the kind `call` fail with
// `code`. An empty name counts only. Returns -1 for a name that is unknown.
int quarrow_fault_arm(const char* call, long from, long to, int code);

// Ends that. Returns how many calls failed.
long quarrow_fault_disarm();

// How many calls of a kind came while armed; -1 for a name that is unknown.
long quarrow_fault_counted(const char* call);

// Lets every call of a kind fail with `code` while armed, as on a file system that cannot do it; 0
// ends that. Returns -1 for a name that is unknown.
int quarrow_fault_deny(const char* call, int code);
}  // extern "C"

}  // namespace quarrow::faults

// SPDX-License-Identifier: Apache-2.0
//
// Files: opening, reading, writing, names and locks.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>

#include "calls.h"

namespace {

using quarrow::faults::Call;
using quarrow::faults::call_or_fail;
using quarrow::faults::fault;
using quarrow::faults::kNoFault;
using quarrow::faults::transfer;

// The mode of open(), which is there when a file may be made.
mode_t mode_of(int flags, va_list arguments) {
  const bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return makes ? va_arg(arguments, mode_t) : 0;
}

Call kind_of_open(int flags) {
  return (flags & O_TMPFILE) == O_TMPFILE ? Call::kTmpfile : Call::kOpen;
}

}  // namespace

extern "C" {

// ---- opening and closing

#define QUARROW_OPEN(name)                                                               \
  int name(const char* path, int flags, ...) {                                           \
    va_list arguments;                                                                   \
    va_start(arguments, flags);                                                          \
    const mode_t mode = mode_of(flags, arguments);                                       \
    va_end(arguments);                                                                   \
    return call_or_fail(kind_of_open(flags), -1, QUARROW_NEXT(name), path, flags, mode); \
  }
QUARROW_OPEN(open)
QUARROW_OPEN(open64)

#define QUARROW_OPENAT(name)                                                                     \
  int name(int folder, const char* path, int flags, ...) {                                       \
    va_list arguments;                                                                           \
    va_start(arguments, flags);                                                                  \
    const mode_t mode = mode_of(flags, arguments);                                               \
    va_end(arguments);                                                                           \
    return call_or_fail(kind_of_open(flags), -1, QUARROW_NEXT(name), folder, path, flags, mode); \
  }
QUARROW_OPENAT(openat)
QUARROW_OPENAT(openat64)

std::FILE* fopen(const char* path, const char* mode) {
  return call_or_fail(Call::kFopen, static_cast<std::FILE*>(nullptr), QUARROW_NEXT(fopen), path,
                      mode);
}

std::FILE* fopen64(const char* path, const char* mode) {
  return call_or_fail(Call::kFopen, static_cast<std::FILE*>(nullptr), QUARROW_NEXT(fopen64), path,
                      mode);
}

int close(int file) {
  const int result = QUARROW_NEXT(close)(file);
  const int code = fault(Call::kClose);
  // The descriptor is gone all the same, as on Linux after EINTR and EIO.
  if (code == kNoFault) return result;
  errno = code;
  return -1;
}

DIR* opendir(const char* path) {
  return call_or_fail(Call::kOpendir, static_cast<DIR*>(nullptr), QUARROW_NEXT(opendir), path);
}

DIR* fdopendir(int file) {
  return call_or_fail(Call::kOpendir, static_cast<DIR*>(nullptr), QUARROW_NEXT(fdopendir), file);
}

dirent* readdir(DIR* folder) {
  return call_or_fail(Call::kReaddir, static_cast<dirent*>(nullptr), QUARROW_NEXT(readdir), folder);
}

dirent64* readdir64(DIR* folder) {
  return call_or_fail(Call::kReaddir, static_cast<dirent64*>(nullptr), QUARROW_NEXT(readdir64),
                      folder);
}

// ---- reading and writing

ssize_t read(int file, void* data, std::size_t bytes) {
  return transfer(Call::kRead, bytes, [&](auto n) { return QUARROW_NEXT(read)(file, data, n); });
}

ssize_t pread(int file, void* data, std::size_t bytes, off_t offset) {
  return transfer(Call::kPread, bytes,
                  [&](auto n) { return QUARROW_NEXT(pread)(file, data, n, offset); });
}

ssize_t pread64(int file, void* data, std::size_t bytes, off64_t offset) {
  return transfer(Call::kPread, bytes,
                  [&](auto n) { return QUARROW_NEXT(pread64)(file, data, n, offset); });
}

ssize_t write(int file, const void* data, std::size_t bytes) {
  return transfer(Call::kWrite, bytes, [&](auto n) { return QUARROW_NEXT(write)(file, data, n); });
}

ssize_t pwrite(int file, const void* data, std::size_t bytes, off_t offset) {
  return transfer(Call::kPwrite, bytes,
                  [&](auto n) { return QUARROW_NEXT(pwrite)(file, data, n, offset); });
}

ssize_t pwrite64(int file, const void* data, std::size_t bytes, off64_t offset) {
  return transfer(Call::kPwrite, bytes,
                  [&](auto n) { return QUARROW_NEXT(pwrite64)(file, data, n, offset); });
}

ssize_t copy_file_range(int from, off64_t* from_offset, int to, off64_t* to_offset,
                        std::size_t bytes, unsigned flags) {
  return transfer(Call::kCopyFileRange, bytes, [&](auto n) {
    return QUARROW_NEXT(copy_file_range)(from, from_offset, to, to_offset, n, flags);
  });
}

int fallocate(int file, int mode, off_t offset, off_t bytes) {
  return call_or_fail(Call::kFallocate, -1, QUARROW_NEXT(fallocate), file, mode, offset, bytes);
}

int fallocate64(int file, int mode, off64_t offset, off64_t bytes) {
  return call_or_fail(Call::kFallocate, -1, QUARROW_NEXT(fallocate64), file, mode, offset, bytes);
}

int ftruncate(int file, off_t bytes) noexcept {
  return call_or_fail(Call::kFtruncate, -1, QUARROW_NEXT(ftruncate), file, bytes);
}

int ftruncate64(int file, off64_t bytes) noexcept {
  return call_or_fail(Call::kFtruncate, -1, QUARROW_NEXT(ftruncate64), file, bytes);
}

int fsync(int file) { return call_or_fail(Call::kFsync, -1, QUARROW_NEXT(fsync), file); }

int sync_file_range(int file, off64_t offset, off64_t bytes, unsigned flags) {
  return call_or_fail(Call::kSyncFileRange, -1, QUARROW_NEXT(sync_file_range), file, offset, bytes,
                      flags);
}

// ---- names, owners and locks

int flock(int file, int operation) noexcept {
  return call_or_fail(Call::kFlock, -1, QUARROW_NEXT(flock), file, operation);
}

int link(const char* from, const char* to) noexcept {
  return call_or_fail(Call::kLink, -1, QUARROW_NEXT(link), from, to);
}

int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  return call_or_fail(Call::kLink, -1, QUARROW_NEXT(linkat), from_folder, from, to_folder, to,
                      flags);
}

int rename(const char* from, const char* to) noexcept {
  return call_or_fail(Call::kRename, -1, QUARROW_NEXT(rename), from, to);
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  return call_or_fail(Call::kRename, -1, QUARROW_NEXT(renameat), from_folder, from, to_folder, to);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to,
              unsigned flags) noexcept {
  return call_or_fail(Call::kRename, -1, QUARROW_NEXT(renameat2), from_folder, from, to_folder, to,
                      flags);
}

int unlink(const char* path) noexcept {
  return call_or_fail(Call::kUnlink, -1, QUARROW_NEXT(unlink), path);
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  return call_or_fail(Call::kUnlink, -1, QUARROW_NEXT(unlinkat), folder, path, flags);
}

ssize_t readlink(const char* path, char* target_path, std::size_t bytes) noexcept {
  return call_or_fail(Call::kReadlink, ssize_t{-1}, QUARROW_NEXT(readlink), path, target_path,
                      bytes);
}

int stat(const char* path, struct stat* status) noexcept {
  return call_or_fail(Call::kStat, -1, QUARROW_NEXT(stat), path, status);
}

int stat64(const char* path, struct stat64* status) noexcept {
  return call_or_fail(Call::kStat, -1, QUARROW_NEXT(stat64), path, status);
}

int lstat(const char* path, struct stat* status) noexcept {
  return call_or_fail(Call::kStat, -1, QUARROW_NEXT(lstat), path, status);
}

int lstat64(const char* path, struct stat64* status) noexcept {
  return call_or_fail(Call::kStat, -1, QUARROW_NEXT(lstat64), path, status);
}

int fstatat(int folder, const char* path, struct stat* status, int flags) noexcept {
  return call_or_fail(Call::kStat, -1, QUARROW_NEXT(fstatat), folder, path, status, flags);
}

int fstatat64(int folder, const char* path, struct stat64* status, int flags) noexcept {
  return call_or_fail(Call::kStat, -1, QUARROW_NEXT(fstatat64), folder, path, status, flags);
}

int fstat(int file, struct stat* status) noexcept {
  return call_or_fail(Call::kFstat, -1, QUARROW_NEXT(fstat), file, status);
}

int fstat64(int file, struct stat64* status) noexcept {
  return call_or_fail(Call::kFstat, -1, QUARROW_NEXT(fstat64), file, status);
}

int fchmod(int file, mode_t mode) noexcept {
  return call_or_fail(Call::kFchmod, -1, QUARROW_NEXT(fchmod), file, mode);
}

ssize_t getrandom(void* data, std::size_t bytes, unsigned flags) {
  return transfer(Call::kGetrandom, bytes,
                  [&](auto n) { return QUARROW_NEXT(getrandom)(data, n, flags); });
}

int getentropy(void* data, std::size_t bytes) {
  return call_or_fail(Call::kGetrandom, -1, QUARROW_NEXT(getentropy), data, bytes);
}

// Whatever its third argument is, it fits a pointer.
#define QUARROW_FCNTL(name)                                                             \
  int name(int file, int command, ...) {                                                \
    va_list arguments;                                                                  \
    va_start(arguments, command);                                                       \
    void* const argument = va_arg(arguments, void*);                                    \
    va_end(arguments);                                                                  \
    return call_or_fail(Call::kFcntl, -1, QUARROW_NEXT(name), file, command, argument); \
  }
QUARROW_FCNTL(fcntl)
QUARROW_FCNTL(fcntl64)

int dup(int file) noexcept { return call_or_fail(Call::kFcntl, -1, QUARROW_NEXT(dup), file); }

int access(const char* path, int mode) noexcept {
  return call_or_fail(Call::kAccess, -1, QUARROW_NEXT(access), path, mode);
}

int faccessat(int folder, const char* path, int mode, int flags) noexcept {
  return call_or_fail(Call::kAccess, -1, QUARROW_NEXT(faccessat), folder, path, mode, flags);
}

char* getcwd(char* path, std::size_t bytes) noexcept {
  return call_or_fail(Call::kGetcwd, static_cast<char*>(nullptr), QUARROW_NEXT(getcwd), path,
                      bytes);
}

}  // extern "C"

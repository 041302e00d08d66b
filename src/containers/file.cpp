// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

// Linux moves at most this many bytes in one call.
constexpr std::size_t kMaxCallBytes = 0x7ffff000;

}  // namespace

void throw_os_error(int error, const std::string& path) {
  throw std::filesystem::filesystem_error("quarrow", path,
                                          std::error_code(error, std::generic_category()));
}

File File::open_to_read(const std::string& path) {
  // Without O_NONBLOCK a pipe would wait for a writer.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) throw_os_error(errno, path);
  File file(descriptor, path);
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) throw_os_error(errno, path);
  if (S_ISDIR(status.st_mode)) throw CheckpointFault(FileRule::kFolder, path);
  if (!S_ISREG(status.st_mode)) throw CheckpointFault(FileRule::kDevice, path);
  return file;
}

File File::in_memory(std::uint64_t bytes) {
#ifdef __linux__
  File file(::memfd_create("quarrow", MFD_CLOEXEC), "memory");
#else
  std::FILE* stream = std::tmpfile();
  File file(stream == nullptr ? -1 : ::dup(::fileno(stream)), "memory");
  if (stream != nullptr) std::fclose(stream);
#endif
  if (file.descriptor() < 0 || ::ftruncate(file.descriptor(), static_cast<off_t>(bytes)) != 0) {
    throw_os_error(errno, file.path());
  }
  return file;
}

File::File(int descriptor, std::string path) noexcept
    : descriptor_(descriptor), path_(std::move(path)) {}

File::File(File&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = std::exchange(other.descriptor_, -1);
    path_ = std::move(other.path_);
  }
  return *this;
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileIdentity File::identity() const {
  struct stat status{};
  if (::fstat(descriptor_, &status) != 0) throw_os_error(errno, path_);
  FileIdentity identity;
  identity.device = status.st_dev;
  identity.inode = status.st_ino;
  identity.bytes = static_cast<std::uint64_t>(status.st_size);
#ifdef __APPLE__
  const timespec& modified = status.st_mtimespec;
#else
  const timespec& modified = status.st_mtim;
#endif
  identity.modified_seconds = modified.tv_sec;
  identity.modified_nanoseconds = modified.tv_nsec;
  return identity;
}

std::size_t File::read_at(void* data, std::size_t bytes, std::uint64_t offset) const {
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t got =
        ::pread(descriptor_, static_cast<char*>(data) + done, std::min(bytes - done, kMaxCallBytes),
                static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_os_error(errno, path_);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void File::write_at(const void* data, std::size_t bytes, std::uint64_t offset) const {
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t put =
        ::pwrite(descriptor_, static_cast<const char*>(data) + done,
                 std::min(bytes - done, kMaxCallBytes), static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_os_error(errno, path_);
    done += static_cast<std::size_t>(put);
  }
}

void File::close() {
  if (descriptor_ < 0) return;
  // After EINTR the descriptor is closed on Linux; a second call could close somebody else's.
  if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) throw_os_error(errno, path_);
}

Mapping::Mapping(const File& file, std::uint64_t bytes) : bytes_(static_cast<std::size_t>(bytes)) {
  if (bytes_ == 0) return;
  // Without a reserve: a file may be larger than the memory.
  void* data = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
                      file.descriptor(), 0);
  if (data == MAP_FAILED) throw_os_error(errno, file.path());
  data_ = static_cast<std::byte*>(data);
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

}  // namespace quarrow

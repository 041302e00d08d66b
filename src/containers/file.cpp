// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "containers/interrupted_call.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

// Linux moves at most this many bytes in one call.
constexpr std::size_t kMaxCallBytes = 0x7ffff000;

FileIdentity identity_of(const struct stat& status) noexcept {
#ifdef __APPLE__
  const timespec& modified = status.st_mtimespec;
  const timespec& changed = status.st_ctimespec;
#else
  const timespec& modified = status.st_mtim;
  const timespec& changed = status.st_ctim;
#endif
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .bytes = static_cast<std::uint64_t>(status.st_size),
          .modified_seconds = modified.tv_sec,
          .modified_nanoseconds = modified.tv_nsec,
          .changed_seconds = changed.tv_sec,
          .changed_nanoseconds = changed.tv_nsec};
}

}  // namespace

void throw_os_error(int error, const std::string& path) {
  throw std::filesystem::filesystem_error("quarrow", path,
                                          std::error_code(error, std::generic_category()));
}

std::optional<FileIdentity> identity_at(const std::string& path) noexcept {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return identity_of(status);
}

void sync_folder(const std::string& folder, const std::string& path) {
  const File opened(
      retry_interrupted([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }),
      {});
  // A folder that may be written but not read cannot be synced.
  if (opened.descriptor() < 0) return;
  // Some file systems do not sync folders and say so with EINVAL.
  if (retry_interrupted([&] { return ::fsync(opened.descriptor()); }) != 0 && errno != EINVAL) {
    throw_os_error(errno, path);
  }
}

File File::open_to_read(const std::string& path) {
  File file(-1, path);
  // Without O_NONBLOCK a pipe would wait for a writer.
  file.reset(
      retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
  if (file.descriptor() < 0) throw_os_error(errno, path);
  struct stat status{};
  if (::fstat(file.descriptor(), &status) != 0) throw_os_error(errno, path);
  if (S_ISDIR(status.st_mode)) throw CheckpointFault(FileRule::kFolder, path);
  if (!S_ISREG(status.st_mode)) throw CheckpointFault(FileRule::kDevice, path);
  return file;
}

File File::in_memory(std::span<std::byte> memory) {
  File file(-1, "memory");
  file.memory_ = memory;
  return file;
}

File::File(int descriptor, std::string path) noexcept
    : descriptor_(descriptor), path_(std::move(path)) {}

File::File(File&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::move(other.path_)),
      staged_(std::exchange(other.staged_, std::nullopt)),
      memory_(std::exchange(other.memory_, std::nullopt)) {}

File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    reset(std::exchange(other.descriptor_, -1));
    path_ = std::move(other.path_);
    staged_ = std::exchange(other.staged_, std::nullopt);
    memory_ = std::exchange(other.memory_, std::nullopt);
  }
  return *this;
}

File::~File() { close(); }

void File::reset(int descriptor) noexcept {
  // After an error the descriptor is closed on Linux; a second call could close somebody else's.
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = descriptor;
}

void File::flush_delayed_writes() const {
  // Every close of a file reports them, also that of a copy of the descriptor.
  const int copy = ::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0 || (::close(copy) != 0 && errno != EINTR)) throw_os_error(errno, path_);
}

FileIdentity File::identity() const {
  struct stat status{};
  if (::fstat(descriptor_, &status) != 0) throw_os_error(errno, path_);
  return identity_of(status);
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

void File::stage(std::uint64_t bytes) { staged_.emplace(static_cast<std::size_t>(bytes)); }

void File::write_staged() {
  if (!is_staged()) return;
  const std::vector<std::byte> staged = *std::exchange(staged_, std::nullopt);
  write_at(staged.data(), staged.size(), 0);
}

void File::write_at(const void* data, std::size_t bytes, std::uint64_t offset) const {
  if (is_staged()) {
    if (bytes == 0) return;
    if (offset + bytes > staged_->size()) staged_->resize(offset + bytes);
    std::memcpy(staged_->data() + offset, data, bytes);
    return;
  }
  if (memory_) {
    std::byte* const there = memory_at(offset);
    if (bytes != 0 && there != data) std::memcpy(there, data, bytes);
    return;
  }
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t put =
        ::pwrite(descriptor_, static_cast<const char*>(data) + done,
                 std::min(bytes - done, kMaxCallBytes), static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_os_error(errno, path_);
    // No progress and no reason: asked again for ever, it might never say more.
    if (put == 0) throw_os_error(EIO, path_);
    done += static_cast<std::size_t>(put);
  }
}

std::byte* File::memory_at(std::uint64_t offset) const noexcept {
  return memory_ ? memory_->data() + offset : nullptr;
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

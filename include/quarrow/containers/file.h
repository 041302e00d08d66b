// SPDX-License-Identifier: Apache-2.0
//
// A POSIX file: reads and writes at positions, from any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quarrow {

// Which file it is, and whether somebody touched it since.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  std::uint64_t bytes = 0;
  std::int64_t modified_seconds = 0;  // its bytes
  std::int64_t modified_nanoseconds = 0;
  std::int64_t changed_seconds = 0;  // its bytes, name, links or mode
  std::int64_t changed_nanoseconds = 0;

  bool same_file(const FileIdentity& other) const noexcept {
    return device == other.device && inode == other.inode;
  }
  bool same_bytes(const FileIdentity& other) const noexcept {
    return same_file(other) && bytes == other.bytes && modified_seconds == other.modified_seconds &&
           modified_nanoseconds == other.modified_nanoseconds;
  }
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

// What a path leads to, through links. Nothing when there is no such file, or on any other error.
std::optional<FileIdentity> identity_at(const std::string& path) noexcept;

// Owns a descriptor. Errors are std::filesystem::filesystem_error with `path`, which is the user's
// file also where the descriptor belongs to a temporary beside it.
class File {
 public:
  // Throws CheckpointFault (kFolder, kDevice) for what is not a regular file; never blocks on a
  // pipe.
  static File open_to_read(const std::string& path);

  // Stands for memory of the caller's, which outlives it and holds every byte that is written: a
  // file that nobody reads. It has no descriptor.
  static File in_memory(std::span<std::byte> memory);

  // Takes the descriptor. A path that is copied for the call is copied before: should the memory
  // not suffice, nobody would close the descriptor.
  File(int descriptor, std::string path) noexcept;
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  const std::string& path() const noexcept { return path_; }
  int descriptor() const noexcept { return descriptor_; }
  FileIdentity identity() const;

  // Reads up to `bytes`; fewer only at the end of the file.
  std::size_t read_at(void* data, std::size_t bytes, std::uint64_t offset) const;
  void write_at(const void* data, std::size_t bytes, std::uint64_t offset) const;

  // Where the bytes from `offset` on lie, when it stands for memory, else null: to write what was
  // made there costs nothing.
  std::byte* memory_at(std::uint64_t offset) const noexcept;

  // Keeps in memory what is written from now on, into a file of so many bytes, until
  // write_staged() writes all of it at once. Threads may write within these bytes; what is written
  // beyond makes the file longer, and then no other thread may write.
  void stage(std::uint64_t bytes);
  bool is_staged() const noexcept { return staged_.has_value(); }
  void write_staged();

  // Takes another descriptor, and closes the one before.
  void reset(int descriptor) noexcept;

  // Throws what a delayed write may still report at a close; the file stays open.
  void flush_delayed_writes() const;

  // Harmless when closed.
  void close() noexcept { reset(-1); }

 private:
  int descriptor_;
  std::string path_;
  mutable std::optional<std::vector<std::byte>> staged_;  // as long as the file
  std::optional<std::span<std::byte>> memory_;            // instead of a descriptor
};

// The bytes of a file in memory, as long as it lives. What is written to them stays in this memory;
// what another process writes to the file may show. Reading behind an end that another process has
// moved is SIGBUS.
class Mapping {
 public:
  // `bytes` from the start of the file. Throws filesystem_error.
  Mapping(const File& file, std::uint64_t bytes);
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  std::byte* data() const noexcept { return data_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_;
};

// Waits until the entries of a folder are on the disk. Throws filesystem_error with `path`.
void sync_folder(const std::string& folder, const std::string& path);

// Throws the filesystem_error of `error` (an errno value) for the file at `path`.
[[noreturn]] void throw_os_error(int error, const std::string& path);

}  // namespace quarrow

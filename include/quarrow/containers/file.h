// SPDX-License-Identifier: Apache-2.0
//
// A POSIX file: reads and writes at positions, from any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace quarrow {

// Which file it is, and whether somebody wrote to it since.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  std::uint64_t bytes = 0;
  std::int64_t modified_seconds = 0;
  std::int64_t modified_nanoseconds = 0;

  bool same_file(const FileIdentity& other) const noexcept {
    return device == other.device && inode == other.inode;
  }
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

// Owns a descriptor. Errors are std::filesystem::filesystem_error with `path`, which is the user's
// file also where the descriptor belongs to a temporary beside it.
class File {
 public:
  // Throws CheckpointFault (kFolder, kDevice) for what is not a regular file; never blocks on a
  // pipe.
  static File open_to_read(const std::string& path);

  // A file of zeros that has no name and lies in memory.
  static File in_memory(std::uint64_t bytes);

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

  // Closes and reports what a delayed write may still report. Harmless when closed.
  void close();

 private:
  int descriptor_;
  std::string path_;
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

// Throws the filesystem_error of `error` (an errno value) for the file at `path`.
[[noreturn]] void throw_os_error(int error, const std::string& path);

}  // namespace quarrow

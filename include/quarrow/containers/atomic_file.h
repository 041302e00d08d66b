// SPDX-License-Identifier: Apache-2.0
//
// A file that appears whole or not at all.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "quarrow/containers/file.h"
#include "quarrow/core/executor.h"

namespace quarrow {

class NameInUse;
class TemporaryFile;

// Writes go to a file without a name, or where the file system has no such files to
// `.NAME.quarrow-PID-RANDOM.tmp` beside the destination. publish() makes it the destination. What
// has a name is removed with the object, and when a process dies, by the next AtomicFile made in
// its folder. An existing destination is replaced and gives the new file its permissions, which are
// never wider before; a symbolic link is replaced itself, what it points to stays.
//
// In a process a destination has one AtomicFile at a time: who makes another one waits. Nobody
// waits for a thread that waits for him. Of those of several processes each replaces the file of
// the one before, whole.
class AtomicFile {
 public:
  // Thrown when poll stops the waiting.
  struct Stopped {};

  // Throws PathFault, also when the destination is one of the files `sources`, or whoever writes it
  // already waits for this very thread; filesystem_error; Stopped.
  AtomicFile(const std::string& destination, std::span<const FileIdentity> sources,
             Poll* poll = nullptr);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const File& file() const noexcept;

  // Claims the space, so that a full disk is found before the work. What is written to a small
  // file stays in memory until flush() or finish().
  void resize(std::uint64_t bytes);

  // Hands the bytes so far to the disk and waits for them, a piece at a time. False when poll
  // stopped it.
  bool flush(std::uint64_t bytes, Poll* poll);

  // No more writes. With `sync` the data has reached the disk.
  void finish(bool sync);
  // After finish(): makes the file visible. With `sync` its folder entry has reached the disk; when
  // that alone fails, the file is visible.
  void publish(bool sync);

 private:
  bool claim(const std::string& key);
  void claim_space(std::uint64_t bytes);
  void match_mode(std::optional<mode_t> replaced) noexcept;

  std::string destination_;
  std::string folder_;
  std::optional<mode_t> mode_;  // of the file that is there
  std::unique_ptr<NameInUse> claim_;
  std::unique_ptr<TemporaryFile> temporary_;
};

// Throws PathFault when `destination` cannot be the output of a job that reads `sources`: for a
// check before any work is done. The permissions of a file that is there.
std::optional<mode_t> check_destination(const std::string& destination,
                                        std::span<const FileIdentity> sources);

}  // namespace quarrow

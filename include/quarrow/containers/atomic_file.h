// SPDX-License-Identifier: Apache-2.0
//
// A file that appears whole or not at all.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "quarrow/containers/file.h"
#include "quarrow/core/executor.h"

namespace quarrow {

// Writes go to `.NAME.quarrow-PID.tmp` beside the destination, which publish() renames to it. The
// temporary is removed with the object, and when a process dies, by the next AtomicFile made in its
// folder. An existing destination is replaced and gives the new file its permissions; a symbolic
// link is replaced itself, what it points to stays.
class AtomicFile {
 public:
  // Throws PathFault, also when the destination is one of the files `sources`; filesystem_error.
  AtomicFile(const std::string& destination, std::span<const FileIdentity> sources);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const File& file() const noexcept { return file_; }

  // Claims the space, so that a full disk is found before the work.
  void resize(std::uint64_t bytes);

  // Hands the bytes so far to the disk and waits for them, a piece at a time. False when poll
  // stopped it.
  bool flush(std::uint64_t bytes, Poll* poll);

  // No more writes. With `sync` the data has reached the disk.
  void finish(bool sync);
  // After finish(): makes the file visible. With `sync` its folder entry has reached the disk.
  void publish(bool sync);

 private:
  std::string destination_;
  std::string temporary_;
  File file_;
  bool published_ = false;
};

// Throws PathFault when `destination` cannot be the output of a job that reads `sources`: for a
// check before any work is done.
void check_destination(const std::string& destination, std::span<const FileIdentity> sources);

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// A file that appears whole or not at all.
#pragma once

#include <cstdint>
#include <string>

#include "quarrow/containers/file.h"
#include "quarrow/core/executor.h"

namespace quarrow {

// Writes go to `.NAME.quarrow-PID.tmp` beside the destination, which commit() renames to it. The
// temporary is removed with the object, and when a process dies, by the next AtomicFile made in its
// folder. An existing destination is replaced and gives the new file its permissions; a symbolic
// link is replaced itself, what it points to stays.
class AtomicFile {
 public:
  // Throws PathFault, also when `source` is the destination's file; filesystem_error.
  AtomicFile(const std::string& destination, const FileIdentity& source);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const File& file() const noexcept { return file_; }

  // Claims the space, so that a full disk is found before the work.
  void resize(std::uint64_t bytes);

  // Hands the bytes so far to the disk and waits for them, a piece at a time. False when poll
  // stopped it.
  bool flush(std::uint64_t bytes, Poll* poll);

  // Makes the file visible. With `sync` it and its folder entry have reached the disk.
  void commit(bool sync);

 private:
  std::string destination_;
  std::string temporary_;
  File file_;
  bool committed_ = false;
};

// Throws PathFault when `destination` cannot be the output of a job that reads `source`: for a
// check before any work is done.
void check_destination(const std::string& destination, const FileIdentity& source);

}  // namespace quarrow

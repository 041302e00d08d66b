// SPDX-License-Identifier: Apache-2.0
//
// A file that is being written, beside the place where it shall appear.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "containers/name_in_use.h"
#include "quarrow/containers/file.h"
#include "quarrow/core/fork_watch.h"

namespace quarrow {

// Has no name where the file system makes such files (O_TMPFILE), so that nobody can take it for an
// abandoned one and nothing stays of a process that dies; else a name of its own from the start. A
// file with a name is locked as long as it is open. Errors are told with the destination.
class TemporaryFile {
 public:
  // Beside `destination`, which lies in `folder` under `name`. Throws filesystem_error, PathFault.
  TemporaryFile(const std::string& folder, std::string_view name, const std::string& destination,
                mode_t mode);
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile();

  const File& file() const noexcept { return file_; }
  File& file() noexcept { return file_; }

  // Throws filesystem_error.
  void give_name();
  // After give_name(). Throws PathFault when the name leads to another file, or the process is a
  // fork of the one that made it; filesystem_error.
  void rename_to(const std::string& path);

 private:
  TemporaryFile(const std::string& folder, std::string_view name, const std::string& destination);

  bool create_unnamed(mode_t mode) noexcept;
  void create_named(mode_t mode);
  void take_new_path();

  std::string folder_;
  std::string name_;  // of the destination
  std::string path_;
  NameInUse in_use_;
  bool named_ = false;
  ForkWatch fork_;
  File file_;
};

}  // namespace quarrow

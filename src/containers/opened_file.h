// SPDX-License-Identifier: Apache-2.0
//
// A file that was opened to be read, and how it begins: that tells what it is.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "containers/foreign_file.h"
#include "quarrow/containers/file.h"

namespace quarrow {

struct OpenedFile {
  // Throws CheckpointFault (kFolder, kDevice) and filesystem_error.
  explicit OpenedFile(const std::string& path)
      : file(File::open_to_read(path)),
        identity(file.identity()),
        read(file.read_at(first.data(), first.size(), 0)) {}

  std::string_view first_bytes() const noexcept { return {first.data(), read}; }

  File file;
  FileIdentity identity;
  std::array<char, kForeignFileBytes> first{};
  std::size_t read;
};

}  // namespace quarrow

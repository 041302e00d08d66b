// SPDX-License-Identifier: Apache-2.0
//
// What is promised of every file that opens, and of every file that is planned.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "quarrow/containers/checkpoint.h"
#include "quarrow/containers/file.h"
#include "quarrow/pipeline/file_plan.h"

namespace quarrow::fuzz {

// Ends the process unless it holds. Not assert(), which releases leave out.
void require(bool holds, const char* promise);

// A file without a disk, which is opened by its path as any other.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name);

  const File& file() const { return file_; }
  const std::string& path() const { return path_; }
  void resize(std::uint64_t bytes);
  void fill(std::span<const std::uint8_t> bytes);

 private:
  File file_;
  std::string path_;
};

void check_opened(const Checkpoint& opened);

// Whatever could be read, its copy can be read: a CheckpointFault would escape from here. Uses
// `output` for the header.
void check_planned(const FilePlan& plan, MemoryFile& output);

}  // namespace quarrow::fuzz

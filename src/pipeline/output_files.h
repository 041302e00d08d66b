// SPDX-License-Identifier: Apache-2.0
//
// The files that a job writes: one, or shards and their index. They appear when all are complete.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "quarrow/containers/atomic_file.h"
#include "quarrow/pipeline/file_plan.h"

namespace quarrow {

class OutputFiles {
 public:
  // Claims the space of all, so that a full disk is found before the work, and writes what does not
  // depend on data. Throws PathFault and filesystem_error.
  OutputFiles(const Checkpoint& source, const FilePlan& plan, const std::string& destination);

  std::vector<const File*> files() const;

  // Hands all bytes to the disk and waits for them, a piece at a time. False when poll stopped it.
  bool flush(Poll* poll);

  // Makes the files visible. An index that is there already disappears first and the new one comes
  // last: who finds an index finds all of its files.
  void publish(bool sync);

 private:
  void write_index();

  const FilePlan& plan_;
  std::vector<std::string> paths_;
  std::vector<std::unique_ptr<AtomicFile>> files_;  // of each output; of several, the index last
};

}  // namespace quarrow

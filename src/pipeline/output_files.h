// SPDX-License-Identifier: Apache-2.0
//
// The files that a job writes: one, or shards (one is enough) and their index. They appear when all
// are complete.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "quarrow/containers/atomic_file.h"
#include "quarrow/pipeline/file_plan.h"

namespace quarrow {

class FileSet;

class OutputFiles {
 public:
  // Looks at every path, then claims the space of all, so that a full disk is found before the
  // work, and writes what does not depend on data. Waits while another thread writes one of them.
  // Throws PathFault, filesystem_error, and when poll stops the waiting AtomicFile::Stopped.
  OutputFiles(const Checkpoint& source, const FilePlan& plan, const std::string& destination,
              Poll* poll);
  ~OutputFiles();

  std::vector<const File*> files() const;

  // Hands all bytes to the disk and waits for them, a piece at a time. False when poll stopped it.
  bool flush(Poll* poll);

  // Makes the files visible; several change hands together (FileSet).
  void publish(bool sync);

 private:
  std::string index() const;

  const FilePlan& plan_;
  std::vector<std::string> paths_;
  std::vector<std::unique_ptr<AtomicFile>> files_;  // of each output; of several, the index last
  std::unique_ptr<FileSet> set_;                    // of several
};

}  // namespace quarrow

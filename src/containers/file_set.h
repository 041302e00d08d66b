// SPDX-License-Identifier: Apache-2.0
//
// Several files that change hands together: the shards of a checkpoint and their index.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quarrow/containers/atomic_file.h"
#include "quarrow/containers/file.h"
#include "quarrow/core/fork_watch.h"

namespace quarrow {

class SetMembers;

// No file system replaces several files at once. So the old files are set aside, the index first:
// without it nobody reads a set. The new index comes last, and with it the new set is there. What
// fails before puts the old files back.
//
// A claim, `.INDEX.quarrow-set` beside the index, keeps other jobs away and lists the files. A
// process that is killed meanwhile leaves the set without its index, and the claim with its lock
// free. Who finds that puts the old files back or, when an index is there, removes what is left of
// them.
class FileSet {
 public:
  // `paths`, the index last, lie in one folder. Throws PathFault when another job has the claim;
  // filesystem_error.
  explicit FileSet(const std::vector<std::string>& paths);
  FileSet(const FileSet&) = delete;
  FileSet& operator=(const FileSet&) = delete;
  ~FileSet();

  // `files` are finished, and those of the paths. With `sync` the entries of the folder have
  // reached the disk; when that alone fails at the end, the new files are there. Throws what
  // AtomicFile::publish() throws.
  void publish(std::span<const std::unique_ptr<AtomicFile>> files, bool sync);

 private:
  enum class State : std::uint8_t { kOld, kMixed, kNew };

  void take_claim();
  void replace(std::span<const std::unique_ptr<AtomicFile>> files, bool sync);

  std::string folder_;
  std::string claim_;
  std::unique_ptr<SetMembers> members_;
  File file_;  // the claim, locked
  ForkWatch fork_;
  State state_ = State::kOld;
};

enum class ClaimState : std::uint8_t {
  kSettled,  // nobody had it; what it stood for is done, and it is gone
  kHeld,     // by another job
  kUnknown,  // where there are no locks, or it may not be touched
};

// Whether a file name is that of a claim.
bool is_set_claim(std::string_view name) noexcept;

// Does what the owner of a claim would have done, when that one is gone.
ClaimState settle_claim(const std::string& folder, const std::string& claim);

}  // namespace quarrow

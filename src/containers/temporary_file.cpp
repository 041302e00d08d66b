// SPDX-License-Identifier: Apache-2.0
#include "containers/temporary_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "containers/file_lock.h"
#include "containers/interrupted_call.h"
#include "containers/temporary_name.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

// A name is taken, or another process looks at a file that is not locked yet: either is rare, and
// again by chance rarer.
constexpr int kAttempts = 16;

#ifdef O_TMPFILE
// By the descriptor itself, which before Linux 6.10 root alone may name (ENOENT), else by its path:
// that takes twice as long.
bool link_to(int descriptor, const std::string& path) noexcept {
  if (::linkat(descriptor, "", AT_FDCWD, path.c_str(), AT_EMPTY_PATH) == 0) return true;
  if (errno != ENOENT) return false;
  char own[32];
  std::snprintf(own, sizeof(own), "/proc/self/fd/%d", descriptor);
  return ::linkat(AT_FDCWD, own, AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0;
}

// Asked once: it costs a small job a hundredth of its time, and nobody unmounts it meanwhile.
bool has_proc() noexcept {
  static const bool found = ::access("/proc/self/fd", F_OK) == 0;
  return found;
}
#endif

}  // namespace

TemporaryFile::TemporaryFile(const std::string& folder, std::string_view name,
                             const std::string& destination)
    : folder_(folder), name_(name), file_(-1, destination) {}

TemporaryFile::TemporaryFile(const std::string& folder, std::string_view name,
                             const std::string& destination, mode_t mode)
    : TemporaryFile(folder, name, destination) {
  // Whatever stops the first way, the second one meets it too, or does without.
  if (!create_unnamed(mode)) create_named(mode);
}

TemporaryFile::~TemporaryFile() {
  const bool ours = named_ && !fork_.in_child() && is_name_of(path_, file_.descriptor());
  if (ours) ::unlink(path_.c_str());
}

void TemporaryFile::take_new_path() {
  do {
    const std::string temporary = temporary_name(name_);
    path_ = folder_ + "/" + temporary;
    in_use_ = NameInUse(temporary);
  } while (!in_use_.held());
}

bool TemporaryFile::create_unnamed(mode_t mode) noexcept {
#ifdef O_TMPFILE
  // Without it the file could never get a name.
  if (!has_proc()) return false;
  file_.reset(retry_interrupted(
      [&] { return ::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode); }));
  return file_.descriptor() >= 0;
#else
  static_cast<void>(mode);
  return false;
#endif
}

void TemporaryFile::create_named(mode_t mode) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    take_new_path();
    file_.reset(retry_interrupted(
        [&] { return ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode); }));
    if (file_.descriptor() < 0 && errno == EEXIST) continue;
    if (file_.descriptor() < 0) throw_os_error(errno, file_.path());
    named_ = true;
    // Until it is locked, another process may take it for abandoned: that one holds the lock then,
    // or has removed the name.
    const bool locked = try_lock(file_.descriptor()) != FileLock::kHeld;
    if (locked && is_name_of(path_, file_.descriptor())) return;
    if (is_name_of(path_, file_.descriptor())) ::unlink(path_.c_str());
    named_ = false;
  }
  throw PathFault(PathRule::kTemporaryLost, file_.path());
}

void TemporaryFile::give_name() {
#ifdef O_TMPFILE
  if (named_) return;
  // Nobody else can have opened it: this fails where there are no locks, and there nobody removes
  // what he cannot lock.
  try_lock(file_.descriptor());
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    take_new_path();
    if (link_to(file_.descriptor(), path_)) {
      named_ = true;
      return;
    }
    if (errno != EEXIST) break;
  }
  throw_os_error(errno, file_.path());
#endif
}

void TemporaryFile::rename_to(const std::string& path) {
  if (fork_.in_child()) throw PathFault(PathRule::kBeingWritten, file_.path());
  if (!is_name_of(path_, file_.descriptor())) {
    throw PathFault(PathRule::kTemporaryLost, file_.path());
  }
  if (::rename(path_.c_str(), path.c_str()) != 0) throw_os_error(errno, file_.path());
  named_ = false;
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>

#include "containers/temporary_name.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

// A disk that writes 100 MB/s takes 40 ms for this: a job can be stopped while it waits.
constexpr std::uint64_t kFlushBytes = std::uint64_t{4} << 20;

int create_locked(const std::string& temporary, const std::string& destination) {
  for (int attempt = 0;; ++attempt) {
    const int descriptor = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0) {
      // Held until the descriptor closes. Where locks are not supported, the process number in the
      // name protects the file alone.
      ::flock(descriptor, LOCK_EX | LOCK_NB);
      return descriptor;
    }
    if (errno != EEXIST) throw_os_error(errno, destination);
    if (attempt > 0 || !is_abandoned(temporary, ::getpid())) {
      throw PathFault(PathRule::kBeingWritten, destination);
    }
    ::unlink(temporary.c_str());
  }
}

int sync_retrying(int descriptor) {
  int result = 0;
  do {
    result = ::fsync(descriptor);
  } while (result != 0 && errno == EINTR);
  return result;
}

void sync_folder(const std::string& folder, const std::string& destination) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // A folder that may be written but not read cannot be synced.
  if (descriptor < 0) return;
  const int error = sync_retrying(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  // Some file systems do not sync folders and say so with EINVAL.
  if (error != 0 && error != EINVAL) throw_os_error(error, destination);
}

// True for /dev/stdout and its like: a stream of the process, be it a regular file just now.
bool leads_into_proc(const std::string& path) {
  constexpr std::string_view kProc = "/proc/";
  char target[kProc.size()];
  const ssize_t bytes = ::readlink(path.c_str(), target, sizeof(target));
  return bytes > 0 && std::string_view(target, static_cast<std::size_t>(bytes)) == kProc;
}

}  // namespace

void check_destination(const std::string& destination, std::span<const FileIdentity> sources) {
  if (split_path(destination).name.empty() && !destination.empty()) {
    throw PathFault(PathRule::kFolder, destination);
  }
  if (leads_into_proc(destination)) throw PathFault(PathRule::kNotRegular, destination);
  struct stat status{};
  if (::stat(destination.c_str(), &status) != 0) {
    if (errno == ENOENT && !destination.empty()) return;
    throw_os_error(errno, destination);
  }
  if (S_ISDIR(status.st_mode)) throw PathFault(PathRule::kFolder, destination);
  if (!S_ISREG(status.st_mode)) throw PathFault(PathRule::kNotRegular, destination);
  FileIdentity identity;
  identity.device = status.st_dev;
  identity.inode = status.st_ino;
  const auto same = [&](const FileIdentity& source) { return identity.same_file(source); };
  if (std::ranges::any_of(sources, same)) throw PathFault(PathRule::kSameFile, destination);
}

AtomicFile::AtomicFile(const std::string& destination, std::span<const FileIdentity> sources)
    : destination_(destination), file_(-1, destination) {
  check_destination(destination, sources);
  const PathParts parts = split_path(destination);
  remove_abandoned_temporaries(parts.folder);
  temporary_ = parts.folder + "/" + temporary_name(parts.name, ::getpid());
  file_ = File(create_locked(temporary_, destination), destination);
  struct stat replaced{};
  if (::stat(destination.c_str(), &replaced) == 0) {
    // Somebody else's file on a file system without modes keeps the default ones.
    static_cast<void>(::fchmod(file_.descriptor(), replaced.st_mode & 0777));
  }
}

AtomicFile::~AtomicFile() {
  if (!published_ && !temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::resize(std::uint64_t bytes) {
  const auto size = static_cast<off_t>(bytes);
#ifdef __linux__
  // Not posix_fallocate, which writes every block where the file system cannot allocate.
  int result = 0;
  do {
    result = size == 0 ? 0 : ::fallocate(file_.descriptor(), 0, 0, size);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return;
  if (errno != EOPNOTSUPP && errno != ENOSYS) throw_os_error(errno, destination_);
#endif
  if (::ftruncate(file_.descriptor(), size) != 0) throw_os_error(errno, destination_);
}

bool AtomicFile::flush(std::uint64_t bytes, Poll* poll) {
#ifdef __linux__
  constexpr unsigned kWriteAndWait =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  for (std::uint64_t offset = 0; offset < bytes; offset += kFlushBytes) {
    if (poll != nullptr && !poll->keep_going()) return false;
    const std::uint64_t piece = std::min(kFlushBytes, bytes - offset);
    if (::sync_file_range(file_.descriptor(), static_cast<off_t>(offset), static_cast<off_t>(piece),
                          kWriteAndWait) != 0) {
      if (errno == EINVAL || errno == ENOSYS || errno == ESPIPE) break;
      // An error that was reported here is not reported again by fsync.
      throw_os_error(errno, destination_);
    }
  }
#else
  static_cast<void>(bytes);
#endif
  return poll == nullptr || poll->keep_going();
}

void AtomicFile::finish(bool sync) {
  if (sync && sync_retrying(file_.descriptor()) != 0) throw_os_error(errno, destination_);
  file_.close();
}

void AtomicFile::publish(bool sync) {
  if (::rename(temporary_.c_str(), destination_.c_str()) != 0) throw_os_error(errno, destination_);
  published_ = true;
  if (sync) sync_folder(split_path(destination_).folder, destination_);
}

}  // namespace quarrow

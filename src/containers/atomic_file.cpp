// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <thread>

#include "containers/abandoned_files.h"
#include "containers/interrupted_call.h"
#include "containers/name_in_use.h"
#include "containers/temporary_file.h"
#include "containers/temporary_name.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

// A disk that writes 100 MB/s takes 40 ms for this: a job can be stopped while it waits.
constexpr std::uint64_t kFlushBytes = std::uint64_t{4} << 20;

constexpr mode_t kPermissions = 0777;
constexpr mode_t kDefaultMode = 0666;  // what the umask leaves of it

// Smaller files are put together in memory: one call writes them, and not one for each piece.
constexpr std::uint64_t kStagedBytes = std::uint64_t{64} << 10;

// Between looks at a destination that another thread writes.
constexpr std::chrono::milliseconds kPause{2};

// The same for every spelling of the path.
std::string key_of(const PathParts& parts, const std::string& destination) {
  const auto folder = identity_at(parts.folder);
  if (!folder) throw_os_error(errno, destination);
  return std::to_string(folder->device) + ":" + std::to_string(folder->inode) + "/" + parts.name;
}

// True for /dev/stdout and its like: a stream of the process, be it a regular file just now.
bool leads_into_proc(const std::string& path) {
  constexpr std::string_view kProc = "/proc/";
  char target[kProc.size()];
  const ssize_t bytes = ::readlink(path.c_str(), target, sizeof(target));
  return bytes > 0 && std::string_view(target, static_cast<std::size_t>(bytes)) == kProc;
}

}  // namespace

std::optional<mode_t> check_destination(const std::string& destination,
                                        std::span<const FileIdentity> sources) {
  if (split_path(destination).name.empty() && !destination.empty()) {
    throw PathFault(PathRule::kFolder, destination);
  }
  if (leads_into_proc(destination)) throw PathFault(PathRule::kNotRegular, destination);
  struct stat status{};
  if (::stat(destination.c_str(), &status) != 0) {
    // A link that leads nowhere, be it to itself, is no file.
    const bool none = errno == ENOENT || errno == ELOOP;
    if (none && !destination.empty()) return std::nullopt;
    throw_os_error(errno, destination);
  }
  if (S_ISDIR(status.st_mode)) throw PathFault(PathRule::kFolder, destination);
  if (!S_ISREG(status.st_mode)) throw PathFault(PathRule::kNotRegular, destination);
  FileIdentity identity;
  identity.device = status.st_dev;
  identity.inode = status.st_ino;
  const auto same = [&](const FileIdentity& source) { return identity.same_file(source); };
  if (std::ranges::any_of(sources, same)) throw PathFault(PathRule::kSameFile, destination);
  return status.st_mode & kPermissions;
}

AtomicFile::AtomicFile(const std::string& destination, std::span<const FileIdentity> sources,
                       Poll* poll)
    : destination_(absolute_path(destination)) {
  auto replaced = check_destination(destination, sources);
  const PathParts parts = split_path(destination_);
  folder_ = parts.folder;
  const std::string key = key_of(parts, destination);
  while (!claim(key)) {
    // A callback of the job that writes it, for one: that job would never end.
    const NameWait wait(key);
    if (wait.is_forever()) throw PathFault(PathRule::kBeingWritten, destination);
    if (poll != nullptr && !poll->keep_going()) throw Stopped();
    std::this_thread::sleep_for(kPause);
    replaced = check_destination(destination_, sources);
  }
  remove_abandoned_files(folder_);
  temporary_ = std::make_unique<TemporaryFile>(folder_, parts.name, destination,
                                               replaced.value_or(kDefaultMode));
  match_mode(replaced);
}

bool AtomicFile::claim(const std::string& key) {
  claim_ = std::make_unique<NameInUse>(key);
  return claim_->held();
}

AtomicFile::~AtomicFile() = default;

const File& AtomicFile::file() const noexcept { return temporary_->file(); }

void AtomicFile::match_mode(std::optional<mode_t> replaced) noexcept {
  if (!replaced || mode_ == replaced) return;
  mode_ = replaced;
  // Somebody else's file on a file system without modes keeps the default ones.
  static_cast<void>(::fchmod(file().descriptor(), *replaced));
}

void AtomicFile::resize(std::uint64_t bytes) {
  claim_space(bytes);
  if (bytes <= kStagedBytes) temporary_->file().stage(bytes);
}

void AtomicFile::claim_space(std::uint64_t bytes) {
  const auto size = static_cast<off_t>(bytes);
#ifdef __linux__
  // Not posix_fallocate, which writes every block where the file system cannot allocate.
  if (size == 0) return;
  const auto allocate = [&] { return ::fallocate(file().descriptor(), 0, 0, size); };
  if (retry_interrupted(allocate) == 0) return;
  if (errno != EOPNOTSUPP && errno != ENOSYS) throw_os_error(errno, file().path());
#endif
  const auto extend = [&] { return ::ftruncate(file().descriptor(), size); };
  if (retry_interrupted(extend) != 0) throw_os_error(errno, file().path());
}

bool AtomicFile::flush(std::uint64_t bytes, Poll* poll) {
  temporary_->file().write_staged();
#ifdef __linux__
  constexpr unsigned kWriteAndWait =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  for (std::uint64_t offset = 0; offset < bytes; offset += kFlushBytes) {
    if (poll != nullptr && !poll->keep_going()) return false;
    const std::uint64_t piece = std::min(kFlushBytes, bytes - offset);
    if (::sync_file_range(file().descriptor(), static_cast<off_t>(offset),
                          static_cast<off_t>(piece), kWriteAndWait) != 0) {
      if (errno == EINVAL || errno == ENOSYS || errno == ESPIPE) break;
      // An error that was reported here is not reported again by fsync.
      throw_os_error(errno, file().path());
    }
  }
#else
  static_cast<void>(bytes);
#endif
  return poll == nullptr || poll->keep_going();
}

void AtomicFile::finish(bool sync) {
  temporary_->file().write_staged();
  struct stat status{};
  // It may have been given or denied to others meanwhile.
  if (::stat(destination_.c_str(), &status) == 0) match_mode(status.st_mode & kPermissions);
  temporary_->give_name();
  if (sync && retry_interrupted([&] { return ::fsync(file().descriptor()); }) != 0) {
    throw_os_error(errno, file().path());
  }
  // The descriptor stays open: it holds the lock.
  file().flush_delayed_writes();
}

void AtomicFile::publish(bool sync) {
  temporary_->rename_to(destination_);
  if (sync) sync_folder(folder_, file().path());
}

}  // namespace quarrow

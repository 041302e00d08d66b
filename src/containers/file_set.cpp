// SPDX-License-Identifier: Apache-2.0
#include "containers/file_set.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <thread>
#include <utility>

#include "containers/file_lock.h"
#include "containers/interrupted_call.h"
#include "containers/temporary_name.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

constexpr std::string_view kClaimEnd = ".quarrow-set";
constexpr std::size_t kMaxIndexNameBytes = 255 - 1 - kClaimEnd.size() - sizeof("-65536");
// 65,536 names of 255 bytes.
constexpr std::uint64_t kMaxClaimBytes = std::uint64_t{1} << 24;

// Whoever settles a claim that was left holds it for a moment.
constexpr int kAttempts = 50;
constexpr std::chrono::milliseconds kPause{2};

std::string claim_name(std::string_view index) {
  return hidden_name(index.substr(0, kMaxIndexNameBytes), kClaimEnd);
}

bool is_plain_name(std::string_view name) noexcept {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos;
}

bool is_there(const std::string& path) noexcept {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0;
}

bool remove_if_there(const std::string& path) noexcept {
  return ::unlink(path.c_str()) == 0 || errno == ENOENT;
}

struct Member {
  std::string path;
  std::string aside;  // where the old file waits
  bool replaced = false;

  // The shards' old files get a second name, so that they stay until they are replaced.
  void set_aside(bool keep) const {
    if (keep && ::linkat(AT_FDCWD, path.c_str(), AT_FDCWD, aside.c_str(), 0) == 0) return;
    if (::rename(path.c_str(), aside.c_str()) != 0 && errno != ENOENT) throw_os_error(errno, path);
  }

  // False when it is not possible just now.
  bool put_back() const noexcept {
    // Two names of one file both stay when one is renamed to the other.
    if (::rename(aside.c_str(), path.c_str()) == 0) return remove_if_there(aside);
    if (errno != ENOENT) return false;
    return !replaced || remove_if_there(path);
  }
};

}  // namespace

// The index last.
class SetMembers {
 public:
  std::vector<Member> all;

  void add(std::string path, const std::string& claim) {
    all.push_back({std::move(path), claim + "-" + std::to_string(all.size()), false});
  }

  bool put_back() const noexcept {
    for (const Member& member : all) {
      if (!member.put_back()) return false;
    }
    return true;
  }

  bool remove_old() const noexcept {
    bool removed = true;
    for (const Member& member : all) removed = remove_if_there(member.aside) && removed;
    return removed;
  }

  void write(const File& claim) const {
    std::string names;
    for (const Member& member : all) {
      names += split_path(member.path).name;
      names += '\0';
    }
    claim.write_at(names.data(), names.size(), 0);
  }

  // False when this is no list of names in the folder.
  bool read(const File& opened, const std::string& folder, const std::string& claim) {
    const std::uint64_t bytes = opened.identity().bytes;
    if (bytes > kMaxClaimBytes) return false;
    std::string names(static_cast<std::size_t>(bytes), '\0');
    names.resize(opened.read_at(names.data(), names.size(), 0));
    for (std::string_view rest = names; !rest.empty();) {
      const std::size_t end = rest.find('\0');
      if (end == std::string_view::npos || !is_plain_name(rest.substr(0, end))) return false;
      add(folder + "/" + std::string(rest.substr(0, end)), claim);
      rest.remove_prefix(end + 1);
    }
    return true;
  }
};

FileSet::FileSet(const std::vector<std::string>& paths)
    : members_(std::make_unique<SetMembers>()), file_(-1, paths.back()) {
  const PathParts index = split_path(absolute_path(paths.back()));
  folder_ = index.folder;
  claim_ = folder_ + "/" + claim_name(index.name);
  for (const std::string& path : paths) members_->add(absolute_path(path), claim_);
  take_claim();
}

FileSet::~FileSet() {
  if (fork_.in_child()) return;
  if (state_ == State::kNew && !members_->remove_old()) return;
  const bool ours = state_ != State::kMixed && is_name_of(claim_, file_.descriptor());
  if (ours) ::unlink(claim_.c_str());
}

void FileSet::take_claim() {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    file_.reset(retry_interrupted(
        [&] { return ::open(claim_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600); }));
    bool held = false;
    if (file_.descriptor() >= 0) {
      // Somebody who took it for abandoned before it was locked removes it.
      held = try_lock(file_.descriptor()) == FileLock::kHeld;
      if (!held && is_name_of(claim_, file_.descriptor())) return;
    } else {
      if (errno != EEXIST) throw_os_error(errno, file_.path());
      const ClaimState state = settle_claim(folder_, claim_);
      if (state == ClaimState::kUnknown) throw PathFault(PathRule::kSetClaimed, claim_);
      held = state == ClaimState::kHeld;
    }
    if (held) std::this_thread::sleep_for(kPause);
  }
  file_.close();
  throw PathFault(PathRule::kBeingWritten, file_.path());
}

void FileSet::publish(std::span<const std::unique_ptr<AtomicFile>> files, bool sync) {
  if (fork_.in_child()) throw PathFault(PathRule::kBeingWritten, file_.path());
  // Of a claim that somebody removed by hand; put back, they would replace what is there.
  for (const Member& member : members_->all) {
    if (!remove_if_there(member.aside)) throw_os_error(errno, member.path);
  }
  members_->write(file_);
  if (sync && retry_interrupted([&] { return ::fsync(file_.descriptor()); }) != 0) {
    throw_os_error(errno, file_.path());
  }
  state_ = State::kMixed;
  try {
    replace(files, sync);
  } catch (...) {
    if (members_->put_back()) state_ = State::kOld;
    throw;
  }
  state_ = State::kNew;
  if (sync) sync_folder(folder_, file_.path());
}

void FileSet::replace(std::span<const std::unique_ptr<AtomicFile>> files, bool sync) {
  std::vector<Member>& all = members_->all;
  const std::size_t index = all.size() - 1;
  all[index].set_aside(/*keep=*/false);
  for (std::size_t shard = 0; shard < index; ++shard) all[shard].set_aside(/*keep=*/true);
  if (sync) sync_folder(folder_, file_.path());
  for (std::size_t shard = 0; shard < index; ++shard) {
    files[shard]->publish(false);
    all[shard].replaced = true;
  }
  if (sync) sync_folder(folder_, file_.path());
  files[index]->publish(false);
}

bool is_set_claim(std::string_view name) noexcept {
  return name.starts_with('.') && name.ends_with(kClaimEnd);
}

ClaimState settle_claim(const std::string& folder, const std::string& claim) {
  const File opened(retry_interrupted([&] {
                      return ::open(claim.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
                    }),
                    {});
  if (opened.descriptor() < 0) {
    return errno == ENOENT ? ClaimState::kSettled : ClaimState::kUnknown;
  }
  struct stat status{};
  struct stat around{};
  if (::fstat(opened.descriptor(), &status) != 0 || ::stat(folder.c_str(), &around) != 0 ||
      !S_ISREG(status.st_mode)) {
    return ClaimState::kUnknown;
  }
  // In a folder like /tmp a stranger's claim could have files replaced that only we may replace.
  if ((around.st_mode & S_ISVTX) != 0 && status.st_uid != ::geteuid()) return ClaimState::kUnknown;
  const FileLock lock = try_lock(opened.descriptor());
  if (lock != FileLock::kTaken) {
    return lock == FileLock::kHeld ? ClaimState::kHeld : ClaimState::kUnknown;
  }
  if (!is_name_of(claim, opened.descriptor())) return ClaimState::kSettled;
  SetMembers members;
  if (!members.read(opened, folder, claim)) return ClaimState::kUnknown;
  const bool has_index = members.all.empty() || is_there(members.all.back().path);
  const bool settled = has_index ? members.remove_old() : members.put_back();
  return settled && remove_if_there(claim) ? ClaimState::kSettled : ClaimState::kUnknown;
}

}  // namespace quarrow

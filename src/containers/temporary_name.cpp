// SPDX-License-Identifier: Apache-2.0
#include "containers/temporary_name.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <exception>
#include <filesystem>
#include <system_error>

namespace quarrow {
namespace {

constexpr std::string_view kMark = ".quarrow-";
constexpr std::string_view kEnd = ".tmp";
constexpr std::size_t kMaxNameBytes = 255;

bool is_alive(pid_t process) { return ::kill(process, 0) == 0 || errno != ESRCH; }

// False only when somebody else holds it: a file system without locks says nothing of its owner.
bool lock_is_free(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) return false;
  struct stat status{};
  const bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  const bool held = ::flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(descriptor);
  return regular && !held;
}

}  // namespace

PathParts split_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

std::string temporary_name(std::string_view name, pid_t process) {
  const std::string tail = std::string(kMark) + std::to_string(process) + std::string(kEnd);
  return "." + std::string(name.substr(0, kMaxNameBytes - 1 - tail.size())) + tail;
}

std::optional<pid_t> temporary_owner(std::string_view file_name) {
  if (!file_name.starts_with('.') || !file_name.ends_with(kEnd)) return std::nullopt;
  file_name.remove_suffix(kEnd.size());
  const std::size_t mark = file_name.rfind(kMark);
  if (mark == std::string_view::npos || mark < 2) return std::nullopt;
  const std::string_view digits = file_name.substr(mark + kMark.size());
  pid_t owner = 0;
  const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), owner);
  if (error != std::errc{} || rest != digits.data() + digits.size() || owner <= 0) {
    return std::nullopt;
  }
  return owner;
}

bool is_abandoned(const std::string& path, pid_t owner) {
  // A process with our own number is ourselves or, after a restart, our dead predecessor: there the
  // lock alone tells.
  return (owner == ::getpid() || !is_alive(owner)) && lock_is_free(path);
}

void remove_abandoned_temporaries(const std::string& folder) noexcept {
  try {
    std::error_code error;
    for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
      const auto owner = temporary_owner(entry->path().filename().native());
      if (owner && is_abandoned(entry->path().native(), *owner)) {
        ::unlink(entry->path().c_str());
      }
    }
  } catch (const std::exception&) {
    // Out of memory here must not stop a job that has not begun.
  }
}

}  // namespace quarrow

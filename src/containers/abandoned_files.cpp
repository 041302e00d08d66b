// SPDX-License-Identifier: Apache-2.0
#include "containers/abandoned_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <memory>
#include <string_view>

#include "containers/file_lock.h"
#include "containers/file_set.h"
#include "containers/name_in_use.h"
#include "containers/temporary_name.h"
#include "quarrow/containers/file.h"

namespace quarrow {
namespace {

bool is_alive(pid_t process) noexcept { return ::kill(process, 0) == 0 || errno != ESRCH; }

// A process with our own number is ourselves or, after a restart, our dead predecessor.
bool may_be_abandoned(std::string_view name, pid_t owner) noexcept {
  return owner == ::getpid() ? !is_in_use(name) : !is_alive(owner);
}

// Its writer is gone when nobody holds the lock: the writer of a number that means nothing here may
// live in another container or on another host. Where there are no locks, nobody is known to be
// gone.
void remove_unless_held(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), {});
  struct stat status{};
  if (file.descriptor() < 0 || ::fstat(file.descriptor(), &status) != 0) return;
  if (!S_ISREG(status.st_mode) || try_shared_lock(file.descriptor()) != FileLock::kTaken) return;
  // Its writer may have given the name away before the lock was ours.
  if (is_name_of(path, file.descriptor())) ::unlink(path.c_str());
}

}  // namespace

void remove_abandoned_files(const std::string& folder) noexcept {
  const auto close_folder = [](DIR* opened) { ::closedir(opened); };
  // Not std::filesystem, whose iterators end the process when the memory does not suffice.
  const std::unique_ptr<DIR, decltype(close_folder)> entries(::opendir(folder.c_str()));
  if (entries == nullptr) return;
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with('.')) continue;
    try {
      if (is_set_claim(name)) {
        settle_claim(folder, folder + "/" + std::string(name));
      } else if (const auto owner = temporary_owner(name);
                 owner && may_be_abandoned(name, *owner)) {
        remove_unless_held(folder + "/" + std::string(name));
      }
    } catch (const std::exception&) {
      // Out of memory here must not stop a job that has not begun.
    }
  }
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// The names of unfinished files, and the removal of those that nobody will finish.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

namespace quarrow {

struct PathParts {
  std::string folder;  // "." when the path has none
  std::string name;    // empty when the path ends in a slash
};
PathParts split_path(const std::string& path);

// `.NAME.quarrow-PID.tmp`; NAME is cut where the result would be longer than a file name may be.
std::string temporary_name(std::string_view name, pid_t process);

// The process that a temporary belongs to; nothing for any other name.
std::optional<pid_t> temporary_owner(std::string_view file_name);

// Whether a temporary's writer is gone: its process does not live, and nobody holds the lock on it,
// which tells also of writers in other containers and on other hosts.
bool is_abandoned(const std::string& path, pid_t owner);

// Removes the abandoned temporaries in a folder. Never fails: what cannot be removed stays.
void remove_abandoned_temporaries(const std::string& folder) noexcept;

}  // namespace quarrow

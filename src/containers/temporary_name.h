// SPDX-License-Identifier: Apache-2.0
//
// The names of unfinished files.
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

// The path from the root, so that it means the same when the program changes its folder. Where that
// would be too long for the system, the path as it is.
std::string absolute_path(const std::string& path);

// `.NAME` and `tail`; NAME is cut where the result would be longer than a file name may be.
std::string hidden_name(std::string_view name, std::string_view tail);

// `.NAME.quarrow-PID-RANDOM.tmp`, another one in each call.
std::string temporary_name(std::string_view name);

// The process that a temporary belongs to, by its number there; nothing for any other name.
std::optional<pid_t> temporary_owner(std::string_view file_name) noexcept;

}  // namespace quarrow

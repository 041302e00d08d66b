// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace quarrow {

// The whole CPUs that the cgroups named in `cgroup_file` (the form of /proc/self/cgroup, v1 or v2)
// allow, rounded up, from the files below `mount`; nothing when there is no limit. Paths are texts:
// libstdc++ 12 ends in SIGSEGV where operator/ of its paths finds no memory.
std::optional<std::size_t> cpu_quota(const std::string& cgroup_file, const std::string& mount);

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>

namespace quarrow {

// The whole CPUs that the cgroups named in `cgroup_file` (the form of /proc/self/cgroup, v1 or v2)
// allow, rounded up, from the files below `mount`; nothing when there is no limit.
std::optional<std::size_t> cpu_quota(const std::filesystem::path& cgroup_file,
                                     const std::filesystem::path& mount);

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "core/cpu_quota.h"
#include "quarrow/core/executor.h"

namespace quarrow {
namespace {

namespace fs = std::filesystem;

std::size_t rounded_up(double quota, double period) {
  const double cpus = quota / period;
  const auto whole = static_cast<std::size_t>(cpus);
  return std::max<std::size_t>(1, static_cast<double>(whole) < cpus ? whole + 1 : whole);
}

// cgroup v2: "max 100000" or "150000 100000".
std::optional<std::size_t> v2_quota(const fs::path& folder) {
  std::ifstream file(folder / "cpu.max");
  double quota = 0;
  double period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return rounded_up(quota, period);
}

// cgroup v1: a quota of -1 means none.
std::optional<std::size_t> v1_quota(const fs::path& folder) {
  std::ifstream quota_file(folder / "cpu.cfs_quota_us");
  std::ifstream period_file(folder / "cpu.cfs_period_us");
  double quota = 0;
  double period = 0;
  if (!(quota_file >> quota) || !(period_file >> period) || quota <= 0 || period <= 0) {
    return std::nullopt;
  }
  return rounded_up(quota, period);
}

// The tightest quota from `group` up to the mount: a limit on a parent binds its children.
template <typename Quota>
std::optional<std::size_t> tightest(const fs::path& mount, const fs::path& group, Quota quota_of) {
  std::optional<std::size_t> least;
  for (fs::path path = group.relative_path();; path = path.parent_path()) {
    const auto quota = quota_of(mount / path);
    if (quota && (!least || *quota < *least)) least = quota;
    if (path.empty()) return least;
  }
}

}  // namespace

std::optional<std::size_t> cpu_quota(const fs::path& cgroup_file, const fs::path& mount) {
  std::ifstream groups(cgroup_file);
  std::optional<std::size_t> least;
  // Each line is "id:controllers:path"; v2 has the id 0 and no controllers.
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const fs::path group = line.substr(second + 1);
    std::optional<std::size_t> quota;
    if (controllers == ",,") {
      quota = tightest(mount, group, v2_quota);
    } else if (controllers.find(",cpu,") != std::string::npos) {
      quota = tightest(mount / "cpu", group, v1_quota);
    }
    if (quota && (!least || *quota < *least)) least = quota;
  }
  return least;
}

std::size_t available_cpus() {
  // glibc's hardware_concurrency is the size of the affinity mask.
  const std::size_t allowed = std::max(1U, std::thread::hardware_concurrency());
  return std::min(allowed, cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup").value_or(allowed));
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#ifdef __linux__
#include <sched.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include "core/cpu_quota.h"
#include "quarrow/core/executor.h"

namespace quarrow {
namespace {

std::size_t rounded_up(double quota, double period) {
  const double cpus = quota / period;
  const auto whole = static_cast<std::size_t>(cpus);
  return std::max<std::size_t>(1, static_cast<double>(whole) < cpus ? whole + 1 : whole);
}

// cgroup v2: "max 100000" or "150000 100000".
std::optional<std::size_t> v2_quota(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double quota = 0;
  double period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return rounded_up(quota, period);
}

// cgroup v1: a quota of -1 means none.
std::optional<std::size_t> v1_quota(const std::string& folder) {
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us");
  std::ifstream period_file(folder + "/cpu.cfs_period_us");
  double quota = 0;
  double period = 0;
  if (!(quota_file >> quota) || !(period_file >> period) || quota <= 0 || period <= 0) {
    return std::nullopt;
  }
  return rounded_up(quota, period);
}

// The tightest quota from `group`, "/a/b", up to the mount: a limit on a parent binds its children.
template <typename Quota>
std::optional<std::size_t> tightest(const std::string& mount, std::string group, Quota quota_of) {
  std::optional<std::size_t> least;
  for (;;) {
    const auto quota = quota_of(mount + group);
    if (quota && (!least || *quota < *least)) least = quota;
    const std::size_t parent = group.rfind('/');
    if (parent == std::string::npos) return least;
    group.resize(parent);
  }
}

}  // namespace

std::optional<std::size_t> cpu_quota(const std::string& cgroup_file, const std::string& mount) {
  std::ifstream groups(cgroup_file);
  std::optional<std::size_t> least;
  // Each line is "id:controllers:path"; v2 has the id 0 and no controllers.
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    std::string group = line.substr(second + 1);
    std::optional<std::size_t> quota;
    if (controllers == ",,") {
      quota = tightest(mount, std::move(group), v2_quota);
    } else if (controllers.find(",cpu,") != std::string::npos) {
      quota = tightest(mount + "/cpu", std::move(group), v1_quota);
    }
    if (quota && (!least || *quota < *least)) least = quota;
  }
  return least;
}

namespace {

// The affinity mask of the process: since glibc 2.35 hardware_concurrency counts the machine.
std::size_t allowed_cpus() {
#ifdef __linux__
  cpu_set_t mask;
  // Fails where the machine has more CPUs than such a mask.
  if (::sched_getaffinity(::getpid(), sizeof(mask), &mask) == 0) {
    return static_cast<std::size_t>(std::max(1, CPU_COUNT(&mask)));
  }
#endif
  return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace

std::size_t available_cpus() {
  const std::size_t allowed = allowed_cpus();
  return std::min(allowed, cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup").value_or(allowed));
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "core/cpu_quota.h"

#include <gtest/gtest.h>
#ifdef __linux__
#include <sched.h>
#include <sys/syscall.h>
#endif
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "quarrow/core/executor.h"

namespace quarrow {
namespace {

namespace fs = std::filesystem;

std::atomic<bool> mask_is_too_small{false};

class CpuQuotaTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(testing::TempDir()) /
            ("quarrow-cgroup-" + std::string(info->name()) + std::to_string(::getpid()));
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const fs::path& name, const std::string& text) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  auto quota() const { return cpu_quota(root_ / "groups", root_ / "mount"); }

  fs::path root_;
};

TEST_F(CpuQuotaTest, NoFilesMeanNoLimit) { EXPECT_FALSE(quota()); }

TEST_F(CpuQuotaTest, V2WithoutALimit) {
  write("groups", "0::/job\n");
  write("mount/job/cpu.max", "max 100000\n");
  EXPECT_FALSE(quota());
}

TEST_F(CpuQuotaTest, V2RoundsUp) {
  write("groups", "0::/job\n");
  write("mount/job/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota(), 2U);
}

TEST_F(CpuQuotaTest, V2LessThanOneCpuIsOne) {
  write("groups", "0::/\n");
  write("mount/cpu.max", "10000 100000\n");
  EXPECT_EQ(quota(), 1U);
}

TEST_F(CpuQuotaTest, ALimitOnTheParentBinds) {
  write("groups", "0::/slice/job\n");
  write("mount/slice/job/cpu.max", "800000 100000\n");
  write("mount/slice/cpu.max", "300000 100000\n");
  EXPECT_EQ(quota(), 3U);
}

TEST_F(CpuQuotaTest, ALooserLimitOnTheParentDoesNot) {
  write("groups", "0::/slice/job\n");
  write("mount/slice/job/cpu.max", "300000 100000\n");
  write("mount/slice/cpu.max", "800000 100000\n");
  EXPECT_EQ(quota(), 3U);
}

TEST_F(CpuQuotaTest, TheTightestOfSeveralHierarchiesBinds) {
  write("mount/cpu/job/cpu.cfs_quota_us", "400000\n");
  write("mount/cpu/job/cpu.cfs_period_us", "100000\n");
  write("mount/job/cpu.max", "200000 100000\n");
  for (const char* groups : {"4:cpu:/job\n0::/job\n", "0::/job\n4:cpu:/job\n"}) {
    write("groups", groups);
    EXPECT_EQ(quota(), 2U) << groups;
  }
}

TEST_F(CpuQuotaTest, FiguresThatCannotBeAreNoLimit) {
  write("groups", "0::/v2\n4:cpu:/v1\n");
  for (const std::string quota_and_period : {"0 100000", "100000 0", "100000 -1", "100000"}) {
    write("mount/v2/cpu.max", quota_and_period);
    EXPECT_FALSE(quota()) << quota_and_period;
  }
  write("mount/cpu/v1/cpu.cfs_quota_us", "400000\n");
  EXPECT_FALSE(quota()) << "no period";
  write("mount/cpu/v1/cpu.cfs_period_us", "0\n");
  EXPECT_FALSE(quota()) << "a period of 0";
}

TEST_F(CpuQuotaTest, V1) {
  write("groups", "5:memory:/job\n4:cpu,cpuacct:/job\n");
  write("mount/cpu/job/cpu.cfs_quota_us", "400000\n");
  write("mount/cpu/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 4U);
}

TEST_F(CpuQuotaTest, V1WithoutALimit) {
  write("groups", "4:cpu,cpuacct:/job\n");
  write("mount/cpu/job/cpu.cfs_quota_us", "-1\n");
  write("mount/cpu/job/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(quota());
}

TEST_F(CpuQuotaTest, DamagedLinesAreNoLimit) {
  write("groups", "nonsense\n0:\n:::\n0::/job\n");
  write("mount/job/cpu.max", "fast\n");
  EXPECT_FALSE(quota());
}

TEST(AvailableCpus, IsAtLeastOne) { EXPECT_GE(available_cpus(), 1U); }

#ifdef __linux__
TEST(AvailableCpus, AreCountedByTheMachineWhereAMaskHasNoRoomForThem) {
  const std::size_t allowed = available_cpus();
  mask_is_too_small = true;
  const std::size_t all = available_cpus();
  mask_is_too_small = false;
  EXPECT_GE(all, allowed);
  EXPECT_LE(all, std::max(1U, std::thread::hardware_concurrency()));
}
#endif

}  // namespace
}  // namespace quarrow

#ifdef __linux__
// In place of that of the C library, for this whole program.
extern "C" int sched_getaffinity(pid_t process, std::size_t bytes, cpu_set_t* mask) noexcept {
  if (quarrow::mask_is_too_small) {
    errno = EINVAL;
    return -1;
  }
  const long written = ::syscall(SYS_sched_getaffinity, process, bytes, mask);
  if (written < 0) return -1;
  // The system fills no more than it has CPUs for.
  std::memset(reinterpret_cast<char*>(mask) + written, 0,
              bytes - static_cast<std::size_t>(written));
  return 0;
}
#endif

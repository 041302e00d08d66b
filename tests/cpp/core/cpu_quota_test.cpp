// SPDX-License-Identifier: Apache-2.0
#include "core/cpu_quota.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "quarrow/core/executor.h"

namespace quarrow {
namespace {

namespace fs = std::filesystem;

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

}  // namespace
}  // namespace quarrow

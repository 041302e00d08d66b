// SPDX-License-Identifier: Apache-2.0
#include "containers/temporary_name.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <set>
#include <string>

namespace quarrow {
namespace {

TEST(TemporaryName, IsCutToWhatAFileNameMayBe) {
  const std::string temporary = temporary_name(std::string(255, 'n'));
  EXPECT_EQ(temporary.size(), 255U);
  EXPECT_EQ(temporary_owner(temporary), ::getpid());
  const std::string start = ".a.quarrow-" + std::to_string(::getpid()) + "-";
  EXPECT_TRUE(temporary_name("a").starts_with(start));
}

TEST(TemporaryName, IsAnotherOneEachTime) {
  std::set<std::string> names;
  for (int count = 0; count < 100; ++count) names.insert(temporary_name("a"));
  EXPECT_EQ(names.size(), 100U);
}

TEST(TemporaryName, OwnerIsAProcessNumber) {
  EXPECT_EQ(temporary_owner(".a.quarrow-7-00ff.tmp"), 7);
  EXPECT_EQ(temporary_owner(".a.quarrow-7.tmp"), 7);
  for (const char* name :
       {".a.quarrow-0.tmp", ".a.quarrow--5.tmp", ".a.quarrow-99999999999999999999.tmp",
        ".a.quarrow-.tmp", ".a.quarrow-7-.tmp", ".a.quarrow-7-x.tmp", ".a.quarrow-7x.tmp",
        ".a.quarrow-7-00ff.tmp2", "a.quarrow-7-00ff.tmp", ".quarrow-7-00ff.tmp"}) {
    EXPECT_EQ(temporary_owner(name), std::nullopt) << name;
  }
}

TEST(AbsolutePath, MeansTheSameInAnotherFolder) {
  char folder[4096];
  ASSERT_NE(::getcwd(folder, sizeof(folder)), nullptr);
  EXPECT_EQ(absolute_path("a/b"), std::string(folder) + "/a/b");
  EXPECT_EQ(absolute_path("/a"), "/a");
  // Too long for the system with the folder before it.
  const std::string longest(4095, 'a');
  EXPECT_EQ(absolute_path(longest), longest);
}

}  // namespace
}  // namespace quarrow

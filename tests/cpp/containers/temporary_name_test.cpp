// SPDX-License-Identifier: Apache-2.0
#include "containers/temporary_name.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <string>

#include "containers/failing_calls.h"
#include "containers/test_files.h"

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

TEST(TemporaryName, IsAnotherOneWithoutRandomNumbersToo) {
  const FailingCalls no_entropy(Call::kEntropy, ENOSYS);
  EXPECT_NE(temporary_name("a"), temporary_name("a"));
  EXPECT_TRUE(no_entropy.failed());
}

TEST(TemporaryName, IsNotThatOfTheSameNumberInAnotherContainer) {
  const auto first_of_a_process = [] {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      // Both children count from the same number.
      std::string name = temporary_name("a");
      name = name.substr(name.rfind('-'));
      ::_exit(::write(ends[1], name.data(), name.size()) > 0 ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    char text[64] = {};
    EXPECT_GT(::read(ends[0], text, sizeof(text) - 1), 0);
    ::close(ends[0]);
    ::close(ends[1]);
    return std::string(text);
  };
  EXPECT_NE(first_of_a_process(), first_of_a_process());
}

TEST(TemporaryName, OwnerIsAProcessNumber) {
  EXPECT_EQ(temporary_owner(".a.quarrow-7-00ff.tmp"), 7);
  EXPECT_EQ(temporary_owner(".a.quarrow-7.tmp"), 7);
  for (const char* name :
       {".a.quarrow-0.tmp", ".a.quarrow--5.tmp", ".a.quarrow-99999999999999999999.tmp",
        ".a.quarrow-.tmp", ".a.quarrow-7-.tmp", ".a.quarrow-7-x.tmp", ".a.quarrow-7x.tmp",
        ".a.quarrow-7-00ff.tmp2", ".a.tmp", ".a.quarrow-7-0:.tmp", ".a.quarrow-7-0g.tmp",
        ".a.quarrow-7-0/.tmp", "a.quarrow-7-00ff.tmp", ".quarrow-7-00ff.tmp"}) {
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

TEST(AbsolutePath, StaysAsItIsInAFolderThatIsGone) {
  const TestFolder folder;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::create_directory(folder / "gone");
  std::filesystem::current_path(folder / "gone");
  std::filesystem::remove(folder / "gone");
  EXPECT_EQ(absolute_path("a/b"), "a/b");
  std::filesystem::current_path(before);
}

}  // namespace
}  // namespace quarrow

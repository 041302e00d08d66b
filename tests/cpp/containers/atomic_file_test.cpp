// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>

#include "containers/failing_calls.h"
#include "containers/temporary_name.h"
#include "containers/test_atomic_file.h"
#include "containers/test_files.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

INSTANTIATE_TEST_SUITE_P(Files, AtomicFileTest, ::testing::Bool(),
                         [](const auto& tested) { return tested.param ? "unnamed" : "named"; });

TEST_P(AtomicFileTest, AppearsOnCommitOnly) {
  AtomicFile output(folder_ / "out", {});
  fill(output, "bytes");
  if (GetParam()) {
    EXPECT_THAT(folder_.names(), IsEmpty());
  } else {
    EXPECT_EQ(temporary_owner(only_name()), ::getpid());
  }
  EXPECT_TRUE(output.flush(5, nullptr));
  output.finish(true);
  output.publish(true);
  EXPECT_THAT(folder_.names(), ElementsAre("out"));
  EXPECT_EQ(read_bytes(folder_ / "out"), "bytes");
}

TEST_P(AtomicFileTest, LeavesTheOldFileWhenNotCommitted) {
  folder_.write("out", "old");
  {
    AtomicFile output(folder_ / "out", {});
    fill(output, "new bytes");
  }
  EXPECT_THAT(folder_.names(), ElementsAre("out"));
  EXPECT_EQ(read_bytes(folder_ / "out"), "old");
}

TEST_P(AtomicFileTest, KeepsThePermissionsOfTheFileItReplaces) {
  ::chmod(folder_.write("out", "old").c_str(), 0640);
  AtomicFile output(folder_ / "out", {});
  output.finish(false);
  output.publish(false);
  struct stat status{};
  ASSERT_EQ(::stat((folder_ / "out").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640U);
}

TEST_P(AtomicFileTest, IsNeverWiderThanTheFileItReplaces) {
  ::chmod(folder_.write("out", "old").c_str(), 0600);
  const mode_t before = ::umask(0);
  AtomicFile output(folder_ / "out", {});
  ::umask(before);
  EXPECT_EQ(last_mode_of_a_new_file(), 0600U);
  EXPECT_EQ(mode_of(output), 0600U);
  ::chmod((folder_ / "out").c_str(), 0400);
  const FailingCalls failing(Call::kRename, EIO);
  output.finish(false);
  EXPECT_THROW(output.publish(false), std::filesystem::filesystem_error);
  EXPECT_EQ(mode_of(output), 0400U);
}

TEST_P(AtomicFileTest, RefusesTheSourceAlsoThroughLinks) {
  const std::string source = folder_.write("source", "x");
  std::filesystem::create_hard_link(source, folder_ / "hard");
  std::filesystem::create_symlink("source", folder_ / "soft");
  const FileIdentity identity = File::open_to_read(source).identity();
  EXPECT_EQ(rule_of(source, identity), PathRule::kSameFile);
  EXPECT_EQ(rule_of(folder_ / "hard", identity), PathRule::kSameFile);
  EXPECT_EQ(rule_of(folder_ / "soft", identity), PathRule::kSameFile);
}

TEST_P(AtomicFileTest, RefusesFoldersAndDevices) {
  EXPECT_EQ(rule_of(folder_.path()), PathRule::kFolder);
  EXPECT_EQ(rule_of(folder_ / "absent/"), PathRule::kFolder);
  ::mkfifo((folder_ / "pipe").c_str(), 0600);
  EXPECT_EQ(rule_of(folder_ / "pipe"), PathRule::kNotRegular);
}

TEST_P(AtomicFileTest, RefusesALinkToAStreamOfTheProcess) {
  // As /dev/stdout is one, here to a regular file.
  const File stream = unnamed_file(folder_, 1);
  std::filesystem::create_symlink("/proc/self/fd/" + std::to_string(stream.descriptor()),
                                  folder_ / "out");
  EXPECT_EQ(rule_of(folder_ / "out"), PathRule::kNotRegular);
  EXPECT_TRUE(std::filesystem::is_symlink(folder_ / "out"));
}

TEST_P(AtomicFileTest, RefusesWhatThisThreadWritesAlreadyHoweverItIsSpelt) {
  std::filesystem::create_directory(folder_ / "inner");
  std::filesystem::create_directory_symlink(folder_.path(), folder_ / "inner/link");
  std::optional<AtomicFile> first(std::in_place, folder_ / "out", std::span<const FileIdentity>());
  for (const char* other : {"out", "./out", "inner/../out", "inner/link/out"}) {
    EXPECT_EQ(rule_of(folder_ / other), PathRule::kBeingWritten) << other;
  }
  first.reset();
  const AtomicFile second(folder_ / "out", {});
}

TEST_P(AtomicFileTest, ReplacesALinkAndNotWhatItPointsTo) {
  folder_.write("target", "kept");
  std::filesystem::create_symlink("target", folder_ / "out");
  AtomicFile output(folder_ / "out", {});
  fill(output, "new");
  output.finish(false);
  output.publish(false);
  EXPECT_EQ(read_bytes(folder_ / "target"), "kept");
  EXPECT_EQ(read_bytes(folder_ / "out"), "new");
  EXPECT_FALSE(std::filesystem::is_symlink(folder_ / "out"));
}

TEST_P(AtomicFileTest, ReplacesALinkThatLeadsToItself) {
  std::filesystem::create_symlink("out", folder_ / "out");
  AtomicFile output(folder_ / "out", {});
  complete(output);
  EXPECT_FALSE(std::filesystem::is_symlink(folder_ / "out"));
}

TEST_P(AtomicFileTest, ReportsAMissingFolderWithTheDestination) {
  try {
    const AtomicFile output(folder_ / "absent/out", {});
    FAIL();
  } catch (const std::filesystem::filesystem_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    EXPECT_EQ(error.path1(), folder_ / "absent/out");
  }
}

TEST_P(AtomicFileTest, NeverPublishesAnotherFile) {
  folder_.write("out", "old");
  std::optional<AtomicFile> output(std::in_place, folder_ / "out", std::span<const FileIdentity>());
  output->finish(false);
  std::string name;
  for (const std::string& each : folder_.names()) name = each == "out" ? name : each;
  ASSERT_EQ(std::filesystem::remove(folder_ / name), true);
  for (const bool replaced : {false, true}) {
    if (replaced) folder_.write(name, "half a file");
    try {
      output->publish(false);
      FAIL();
    } catch (const PathFault& fault) {
      EXPECT_EQ(fault.rule, PathRule::kTemporaryLost);
    }
    EXPECT_EQ(read_bytes(folder_ / "out"), "old");
  }
  // Nor removes it.
  output.reset();
  EXPECT_EQ(read_bytes(folder_ / name), "half a file");
}

TEST_P(AtomicFileTest, WhatFailsLeavesTheOldFileAndNothingElse) {
  const std::string path = folder_.write("out", "old");
  const int before = open_descriptors();
  for (const Call call :
       {Call::kAllocation, Call::kLink, Call::kRename, Call::kSync, Call::kOpen, Call::kClose}) {
    bool failed = true;
    for (int nth = 1; failed; ++nth) {
      {
        const FailingCalls failing(call, EIO, nth);
        try {
          AtomicFile output(path, {});
          fill(output, "old");
          output.finish(true);
          output.publish(true);
        } catch (const std::filesystem::filesystem_error& error) {
          EXPECT_EQ(error.path1().native(), path);
        } catch (const std::bad_alloc&) {
          EXPECT_EQ(call, Call::kAllocation);
        }
        failed = failing.failed();
      }
      EXPECT_THAT(folder_.names(), ElementsAre("out")) << static_cast<int>(call) << " " << nth;
      EXPECT_EQ(read_bytes(path), "old");
      EXPECT_EQ(open_descriptors(), before) << static_cast<int>(call) << " " << nth;
    }
  }
}

TEST_P(AtomicFileTest, WhatACloseReportsComesBeforeTheFile) {
  folder_.write("out", "old");
  AtomicFile output(folder_ / "out", {});
  fill(output, "new");
  {
    const FailingCalls failing(Call::kClose, EIO);
    EXPECT_THROW(output.finish(false), std::filesystem::filesystem_error);
  }
  EXPECT_EQ(read_bytes(folder_ / "out"), "old");
  const FailingCalls failing(Call::kClose, EIO);
  output.publish(true);
  EXPECT_EQ(read_bytes(folder_ / "out"), "new");
}

TEST_P(AtomicFileTest, AForkedChildNeitherPublishesNorRemovesIt) {
  AtomicFile output(folder_ / "out", {});
  output.finish(false);
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 1;
    try {
      output.publish(false);
    } catch (const PathFault& fault) {
      code = fault.rule == PathRule::kBeingWritten ? 0 : 2;
    }
    output.~AtomicFile();
    ::_exit(code);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  output.publish(false);
  EXPECT_EQ(only_name(), "out");
}

TEST_P(AtomicFileTest, ARelativePathMeansTheFolderOfItsTime) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  std::filesystem::create_directory("inner");
  AtomicFile output("out", {});
  std::filesystem::current_path("inner");
  complete(output);
  std::filesystem::current_path(before);
  EXPECT_THAT(folder_.names(), ElementsAre("inner", "out"));
}

#ifdef __linux__
TEST_P(AtomicFileTest, WhereNothingCanBeAllocatedAFileIsExtended) {
  for (const int error : {EOPNOTSUPP, ENOSYS}) {
    AtomicFile output(folder_ / "out", {});
    const FailingCalls failing(Call::kAllocate, error);
    output.resize(5);
    EXPECT_EQ(output.file().identity().bytes, 5U) << error;
    EXPECT_THROW(output.resize(std::uint64_t{1} << 63), std::filesystem::filesystem_error);
  }
}

TEST_P(AtomicFileTest, ADiskWithoutRoomIsAnErrorAtOnce) {
  AtomicFile output(folder_ / "out", {});
  const FailingCalls failing(Call::kAllocate, ENOSPC);
  output.resize(0);
  EXPECT_FALSE(failing.failed());
  EXPECT_THROW(output.resize(5), std::filesystem::filesystem_error);
}

TEST_P(AtomicFileTest, WhatAFlushReportsIsAnErrorUnlessItsSystemHasNone) {
  AtomicFile output(folder_ / "out", {});
  fill(output, "bytes");
  for (const int error : {EINVAL, ENOSYS, ESPIPE}) {
    const FailingCalls none(Call::kFlush, error);
    EXPECT_TRUE(output.flush(5, nullptr)) << error;
    EXPECT_TRUE(none.failed());
  }
  const FailingCalls failing(Call::kFlush, EIO);
  EXPECT_THROW(output.flush(5, nullptr), std::filesystem::filesystem_error);
}
#endif

TEST_P(AtomicFileTest, AnEmptyNameIsAnErrorOfTheSystem) {
  EXPECT_THROW(AtomicFile("", {}), std::filesystem::filesystem_error);
}

TEST_P(AtomicFileTest, WhereEveryTemporaryNameIsTakenTheErrorSaysSo) {
  const FailingCalls all_taken(GetParam() ? Call::kLink : Call::kOpen, EEXIST);
  EXPECT_THROW(
      {
        AtomicFile output(folder_ / "out", {});
        output.finish(false);
      },
      std::exception);
  EXPECT_THAT(folder_.names(), IsEmpty());
}

TEST(AtomicFile, ATemporaryThatOthersKeepTakingIsGivenUp) {
  const TestFolder folder;
  const FailingCalls no_unnamed(Call::kOpenUnnamed, EOPNOTSUPP);
  const FailingCalls held(Call::kFlock, EWOULDBLOCK);
  try {
    AtomicFile(folder / "out", {});
    FAIL() << "it was made";
  } catch (const PathFault& fault) {
    EXPECT_EQ(fault.rule, PathRule::kTemporaryLost);
  }
  EXPECT_THAT(folder.names(), IsEmpty());
}

}  // namespace
}  // namespace quarrow

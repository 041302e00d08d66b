// SPDX-License-Identifier: Apache-2.0
//
// The name and the lock of a file that is not complete, seen through AtomicFile.
#include "containers/temporary_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <utility>

#include "containers/failing_calls.h"
#include "containers/name_in_use.h"
#include "containers/temporary_name.h"
#include "containers/test_files.h"
#include "quarrow/containers/atomic_file.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Where the file system makes files without a name, and where it does not.
class TemporaryFileTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!GetParam()) no_unnamed_.emplace(Call::kOpenUnnamed, EOPNOTSUPP);
  }
  static void fill(AtomicFile& output, std::string_view bytes) {
    output.resize(bytes.size());
    output.file().write_at(bytes.data(), bytes.size(), 0);
  }
  static void complete(AtomicFile& output) {
    output.finish(false);
    output.publish(false);
  }
  // The name of the only temporary, or nothing.
  std::string temporary() const {
    for (const std::string& name : folder_.names()) {
      if (temporary_owner(name)) return name;
    }
    return "";
  }

  TestFolder folder_;

 private:
  std::optional<FailingCalls> no_unnamed_;
};

INSTANTIATE_TEST_SUITE_P(Files, TemporaryFileTest, ::testing::Bool(),
                         [](const auto& tested) { return tested.param ? "unnamed" : "named"; });

TEST_P(TemporaryFileTest, IsLockedAsSoonAsItHasAName) {
  AtomicFile output(folder_ / "out", {});
  output.finish(false);
  const File other = File::open_to_read(folder_ / temporary());
  EXPECT_EQ(::flock(other.descriptor(), LOCK_SH | LOCK_NB), -1);
}

TEST_P(TemporaryFileTest, ItsNameIsKnownToTheOtherThreads) {
  // They must not take it for abandoned in the moment before it is locked.
  std::optional<AtomicFile> output(std::in_place, folder_ / "out", std::span<const FileIdentity>());
  output->finish(false);
  const std::string name = temporary();
  EXPECT_TRUE(is_in_use(name));
  output.reset();
  EXPECT_FALSE(is_in_use(name));
}

TEST_P(TemporaryFileTest, ANameThatIsTakenIsFollowedByAnother) {
  const FailingCalls taken(GetParam() ? Call::kLink : Call::kOpen, EEXIST, 1);
  AtomicFile output(folder_ / "out", {});
  complete(output);
  EXPECT_TRUE(taken.failed());
  EXPECT_THAT(folder_.names(), ElementsAre("out"));
}

TEST_P(TemporaryFileTest, AFileThatItsDescriptorMayNotNameIsNamedByItsPath) {
  if (!GetParam()) GTEST_SKIP() << "a file with a name from the start is not linked";
  const FailingCalls forbidden(Call::kLink, ENOENT, 1);
  AtomicFile output(folder_ / "out", {});
  fill(output, "new");
  complete(output);
  EXPECT_EQ(forbidden.calls(), 2);
  EXPECT_THAT(folder_.names(), ElementsAre("out"));
  EXPECT_EQ(read_bytes(folder_ / "out"), "new");
}

TEST_P(TemporaryFileTest, ANameThatGoesBeforeTheLockIsFollowedByAnother) {
  if (GetParam()) GTEST_SKIP() << "a file without a name is locked before it has one";
  // By who takes the file for abandoned.
  const BeforeCall removed(Call::kFlock, 1,
                           [&] { EXPECT_TRUE(std::filesystem::remove(folder_ / temporary())); });
  AtomicFile output(folder_ / "out", {});
  fill(output, "new");
  complete(output);
  EXPECT_THAT(folder_.names(), ElementsAre("out"));
  EXPECT_EQ(read_bytes(folder_ / "out"), "new");
}

TEST_P(TemporaryFileTest, AnInterruptedCallIsMadeAgain) {
  for (const Call call : {Call::kOpen, Call::kFlock, Call::kSync, Call::kClose}) {
    bool failed = true;
    for (int nth = 1; failed; ++nth) {
      std::optional<AtomicFile> output;
      const FailingCalls syncs(call == Call::kSync ? Call::kEntropy : Call::kSync, EIO, 1000);
      {
        const FailingCalls interrupted(call, EINTR, nth);
        output.emplace(folder_ / "out", std::span<const FileIdentity>());
        output->finish(true);
        failed = interrupted.failed();
      }
      const File other = File::open_to_read(folder_ / temporary());
      EXPECT_EQ(::flock(other.descriptor(), LOCK_SH | LOCK_NB), -1) << nth;
      const FailingCalls interrupted(call, EINTR, failed ? 1000 : 1);
      output->publish(true);
      if (call != Call::kSync) {
        EXPECT_EQ(syncs.calls(), 2) << static_cast<int>(call) << " " << nth;
      }
    }
  }
  if (!GetParam()) return;
  const FailingCalls interrupted(Call::kOpenUnnamed, EINTR, 1);
  const AtomicFile output(folder_ / "other", {});
  EXPECT_THAT(folder_.names(), ElementsAre("out"));
}

TEST_P(TemporaryFileTest, ALockThatSomebodyHoldsIsWaitedForUnderAnotherName) {
  // Who looks for abandoned files may hold it for a moment, and then removes the file.
  const FailingCalls failing(Call::kFlock, EWOULDBLOCK, 1);
  AtomicFile output(folder_ / "out", {});
  fill(output, "new");
  output.finish(false);
  EXPECT_EQ(failing.calls(), GetParam() ? 1 : 2);
  output.publish(false);
  EXPECT_TRUE(failing.failed());
  EXPECT_THAT(folder_.names(), ElementsAre("out"));
  EXPECT_EQ(read_bytes(folder_ / "out"), "new");
}

}  // namespace
}  // namespace quarrow

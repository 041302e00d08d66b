// SPDX-License-Identifier: Apache-2.0
//
// The claims of sets: whose they are, and what is believed of them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>

#include "containers/abandoned_files.h"
#include "containers/test_file_set.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(FileSetTest, ASetThatIsBeingWrittenIsRefused) {
  {
    const FileSet first(paths());
    EXPECT_EQ(rule(), PathRule::kBeingWritten);
    remove_abandoned_files(folder_.path());
    EXPECT_THAT(folder_.names(), ElementsAre(kClaim));
  }
  EXPECT_THAT(folder_.names(), IsEmpty());
}

TEST_F(FileSetTest, WithoutLocksTheClaimOfAnotherIsNotTouched) {
  write_old();
  folder_.write(kClaim, "");
  const FailingCalls no_locks(Call::kFlock, ENOLCK);
  EXPECT_EQ(rule(), PathRule::kSetClaimed);
  ASSERT_EQ(::unlink((folder_ / kClaim).c_str()), 0);
  replace();
  EXPECT_EQ(contents(), set_of("new"));
}

TEST_F(FileSetTest, AClaimThatLiesMovesNothing) {
  const std::string inner = folder_ / "inner";
  std::filesystem::create_directory(inner);
  folder_.write("inner/.m.index.quarrow-set-0", "hostile");
  const std::string claim =
      folder_.write("inner/.m.index.quarrow-set", std::string("../m-1\0x\0", 9));
  remove_abandoned_files(inner);
  EXPECT_THAT(folder_.names(), ElementsAre("inner"));
  EXPECT_EQ(settle_claim(inner, claim), ClaimState::kUnknown);
}

TEST_F(FileSetTest, WhatIsNoFileIsNoClaim) {
  const std::string claim = folder_ / kClaim;
  EXPECT_EQ(settle_claim(folder_.path(), claim), ClaimState::kSettled) << "there is none";
  std::filesystem::create_directory(claim);
  EXPECT_EQ(settle_claim(folder_.path(), claim), ClaimState::kUnknown);
  EXPECT_EQ(rule(), PathRule::kSetClaimed);
  std::filesystem::remove(claim);
  ASSERT_EQ(::mkfifo(claim.c_str(), 0600), 0);
  EXPECT_EQ(settle_claim(folder_.path(), claim), ClaimState::kUnknown);
  EXPECT_THAT(folder_.names(), ElementsAre(kClaim));
}

TEST_F(FileSetTest, AClaimThatCannotBeLookedAtStays) {
  const std::string claim = folder_.write(kClaim, std::string("m-1\0m.index\0", 12));
  folder_.write("m.index", "old");
  for (const int nth : {1, 2}) {
    const FailingCalls failing(Call::kStatus, EIO, nth);
    EXPECT_EQ(settle_claim(folder_.path(), claim), ClaimState::kUnknown);
  }
  for (const int nth : {1, 2, 3}) {  // the two names of old files, then the claim's own
    const FailingCalls failing(Call::kUnlink, EIO, nth);
    EXPECT_EQ(settle_claim(folder_.path(), claim), ClaimState::kUnknown);
    EXPECT_TRUE(failing.failed());
  }
  EXPECT_EQ(settle_claim(folder_.path(), claim), ClaimState::kSettled);
  EXPECT_THAT(folder_.names(), ElementsAre("m.index"));
}

TEST_F(FileSetTest, AStrangersClaimInAFolderOfAllMovesNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root makes files of another user";
  const std::string claim = folder_.write(kClaim, std::string("m-1\0m.index\0", 12));
  folder_.write(std::string(kClaim) + "-0", "hostile");
  ASSERT_EQ(::chown(claim.c_str(), 65534, 65534), 0);
  ASSERT_EQ(::chmod(folder_.path().c_str(), 01777), 0);
  EXPECT_EQ(settle_claim(folder_.path(), claim), ClaimState::kUnknown);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "m-1"));
  const std::string ours = folder_.write(".ours.quarrow-set", "");
  EXPECT_EQ(settle_claim(folder_.path(), ours), ClaimState::kSettled);
  // In a folder of ours it is what a job of ours left as another user.
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  EXPECT_EQ(settle_claim(folder_.path(), claim), ClaimState::kSettled);
  EXPECT_THAT(folder_.names(), ElementsAre("m-1"));
}

TEST_F(FileSetTest, NothingIsPutBackThatAClaimLeftWhichIsGone) {
  // Somebody removed the claim of a job that was killed, and not what it had set aside.
  write_old();
  for (const char* number : {"0", "1", "2"}) {
    folder_.write(std::string(kClaim) + "-" + number, "older");
  }
  {
    const FailingCalls failing(Call::kRename, EIO, 1);
    EXPECT_THROW(replace(), std::filesystem::filesystem_error);
  }
  EXPECT_EQ(contents(), set_of("old"));
}

TEST_F(FileSetTest, AForkedChildNeitherPublishesNorLetsOthersIn) {
  const std::vector<std::unique_ptr<AtomicFile>> none;
  FileSet set(paths());
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 1;
    try {
      set.publish(none, false);
    } catch (const PathFault& fault) {
      code = fault.rule == PathRule::kBeingWritten ? 0 : 2;
    }
    set.~FileSet();
    ::_exit(code);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_THAT(folder_.names(), ElementsAre(kClaim));
  EXPECT_EQ(rule(), PathRule::kBeingWritten);
}

TEST_F(FileSetTest, AClaimThatIsTakenForAbandonedIsMadeAgain) {
  const BeforeCall removed(Call::kFlock, 1,
                           [&] { EXPECT_EQ(::unlink((folder_ / kClaim).c_str()), 0); });
  const FileSet set(paths());
  EXPECT_THAT(folder_.names(), ElementsAre(kClaim));
  EXPECT_EQ(rule(), PathRule::kBeingWritten);
}

TEST_F(FileSetTest, ItsDescriptorMayBeThatOfTheStandardInput) {
  const int input = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  ::close(STDIN_FILENO);
  {
    const FileSet set(paths());
    EXPECT_NE(::fcntl(STDIN_FILENO, F_GETFD), -1);
    EXPECT_THAT(folder_.names(), ElementsAre(kClaim));
  }
  EXPECT_THAT(folder_.names(), IsEmpty());
  if (input >= 0) ::dup2(input, STDIN_FILENO);
  ::close(input);
}

TEST_F(FileSetTest, AClaimThatSomebodyLooksAtIsMadeAgain) {
  std::optional<FileSet> set;
  {
    const FailingCalls held(Call::kFlock, EWOULDBLOCK, 1);
    set.emplace(paths());
    EXPECT_EQ(held.calls(), 3);  // its own, to settle that, and that of the new one
  }
  EXPECT_EQ(rule(), PathRule::kBeingWritten);
}

TEST_F(FileSetTest, AClaimThatSomebodyElseTookIsLeftToHim) {
  const std::string claim = folder_.write(kClaim, std::string("m-1\0m.index\0", 12));
  folder_.write(std::string(kClaim) + "-0", "old");
  const BeforeCall taken(Call::kFlock, 1, [&] {
    std::filesystem::remove(claim);
    folder_.write(kClaim, "");
  });
  EXPECT_EQ(settle_claim(folder_.path(), claim), ClaimState::kSettled);
  EXPECT_THAT(folder_.names(), ElementsAre(kClaim, std::string(kClaim) + "-0"));
}

TEST_F(FileSetTest, AListThatCannotBeMovesNothing) {
  folder_.write(std::string(kClaim) + "-0", "old");
  std::string more_than_can_be;
  for (int count = 0; count <= 65'536; ++count) {
    more_than_can_be += std::string(255, 'm');
    more_than_can_be += '\0';
  }
  const std::vector<std::string> lists = {more_than_can_be, std::string("m-1\0m.ind", 9),
                                          std::string("m-1\0\0", 5), std::string("m-1\0.\0", 6),
                                          std::string("m-1\0..\0", 7)};
  for (const std::string& list : lists) {
    const std::string claim = folder_.write(kClaim, list);
    EXPECT_EQ(settle_claim(folder_.path(), claim), ClaimState::kUnknown);
    EXPECT_THAT(folder_.names(), ElementsAre(kClaim, std::string(kClaim) + "-0"));
  }
}

}  // namespace
}  // namespace quarrow

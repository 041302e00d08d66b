// SPDX-License-Identifier: Apache-2.0
#include "containers/file_set.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <optional>

#include "containers/abandoned_files.h"
#include "containers/failing_calls.h"
#include "containers/test_files.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Contents = std::map<std::string, std::string>;

constexpr const char* kClaim = ".m.index.quarrow-set";

class FileSetTest : public ::testing::Test {
 protected:
  std::vector<std::string> paths() const {
    return {folder_ / "m-1", folder_ / "m-2", folder_ / "m.index"};
  }

  static Contents set_of(const std::string& text) {
    return {{"m-1", text}, {"m-2", text}, {"m.index", text}};
  }
  void write_old() const {
    for (const auto& [name, text] : set_of("old")) folder_.write(name, text);
  }
  Contents contents() const {
    Contents all;
    for (const std::string& name : folder_.names()) all[name] = read_bytes(folder_ / name);
    return all;
  }

  // What a job does. Throws what it throws.
  void replace(bool sync = false) const {
    std::vector<std::unique_ptr<AtomicFile>> files;
    for (const std::string& path : paths()) {
      files.push_back(std::make_unique<AtomicFile>(path, std::span<const FileIdentity>()));
      files.back()->file().write_at("new", 3, 0);
    }
    FileSet set(paths());
    for (const auto& file : files) file->finish(false);
    set.publish(files, sync);
  }
  // A process that ends at the nth call of a kind. True when it got that far.
  bool killed_at(Call call, int nth) const {
    const pid_t child = ::fork();
    if (child == 0) {
      const FailingCalls end(call, kKilled, nth);
      replace();
      ::_exit(2);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    return WEXITSTATUS(status) == EXIT_SUCCESS;
  }
  PathRule rule() const {
    try {
      const FileSet set(paths());
    } catch (const PathFault& fault) {
      return fault.rule;
    }
    throw std::runtime_error("the set was not refused");
  }

  TestFolder folder_;
};

TEST_F(FileSetTest, ReplacesAll) {
  write_old();
  for (const bool sync : {false, true}) {
    replace(sync);
    EXPECT_EQ(contents(), set_of("new"));
  }
}

TEST_F(FileSetTest, WithSyncEachStepIsOnTheDiskBeforeTheNext) {
  write_old();
  // The list of files, then what is set aside, then the new shards, at last the new index.
  const std::vector<int> syncs_before_rename = {1, 2, 2, 3};
  for (int nth = 1; nth <= 4; ++nth) {
    const FailingCalls syncs(Call::kSync, EIO, 1000);
    int before = 0;
    const BeforeCall counted(Call::kRename, nth, [&] { before = syncs.calls(); });
    replace(/*sync=*/true);
    EXPECT_EQ(before, syncs_before_rename[static_cast<std::size_t>(nth - 1)]) << nth;
    EXPECT_EQ(syncs.calls(), 4);
  }
}

TEST_F(FileSetTest, WhatFailsHalfWayLeavesTheOldSetOrTheNewOne) {
  for (const Call call : {Call::kRename, Call::kLink, Call::kUnlink, Call::kSync, Call::kOpen,
                          Call::kFlock, Call::kAllocation}) {
    bool failed = true;
    for (int nth = 1; failed; ++nth) {
      write_old();
      const int before = open_descriptors();
      bool thrown = false;
      {
        const FailingCalls failing(call, EIO, nth);
        try {
          replace(/*sync=*/true);
        } catch (const std::exception&) {
          thrown = true;
        }
        failed = failing.failed();
      }
      EXPECT_EQ(open_descriptors(), before);
      // What could not be removed goes with the next job.
      remove_abandoned_files(folder_.path());
      const Contents found = contents();
      EXPECT_TRUE(found == set_of("new") || (thrown && found == set_of("old")))
          << static_cast<int>(call) << " " << nth << " " << ::testing::PrintToString(found);
    }
  }
}

TEST_F(FileSetTest, WhatFailsHalfWayLeavesNothingWhereNothingWas) {
  bool failed = true;
  for (int nth = 1; failed; ++nth) {
    const FailingCalls failing(Call::kRename, EIO, nth);
    try {
      replace();
    } catch (const std::exception&) {
      EXPECT_THAT(folder_.names(), IsEmpty()) << nth;
    }
    failed = failing.failed();
  }
  EXPECT_EQ(contents(), set_of("new"));
}

TEST_F(FileSetTest, WhatCannotBePutBackIsPutBackByTheNextJob) {
  write_old();
  {
    // One file is set aside by a rename; nothing more is renamed, not back either.
    const FailingCalls failing(Call::kRename, EIO, -2);
    EXPECT_THROW(replace(), std::exception);
  }
  EXPECT_FALSE(contents().contains("m.index"));
  EXPECT_TRUE(contents().contains(kClaim));
  remove_abandoned_files(folder_.path());
  EXPECT_EQ(contents(), set_of("old"));
}

TEST_F(FileSetTest, TheClaimStaysUntilAllIsPutBack) {
  write_old();
  {
    // A folder that takes the place of the index can be replaced by no file, old or new.
    const BeforeCall taken(Call::kRename, 2,
                           [&] { std::filesystem::create_directories(folder_ / "m.index/inner"); });
    EXPECT_THROW(replace(), std::filesystem::filesystem_error);
  }
  EXPECT_TRUE(std::filesystem::exists(folder_ / kClaim));
  std::filesystem::remove_all(folder_ / "m.index");
  remove_abandoned_files(folder_.path());
  EXPECT_EQ(contents(), set_of("old"));
}

TEST_F(FileSetTest, ANameThatCannotBeRemovedOnTheWayBackWaitsForTheNextJob) {
  int left = 0;
  bool failed = true;
  for (int nth = 1; failed; ++nth) {
    write_old();
    {
      const FailingCalls failing(Call::kRename, EIO, 2);
      const FailingCalls no_way_back(Call::kUnlink, EIO, nth);
      EXPECT_THROW(replace(), std::exception);
      failed = no_way_back.failed();
    }
    left += contents().contains(kClaim) ? 1 : 0;
    remove_abandoned_files(folder_.path());
    EXPECT_EQ(contents(), set_of("old")) << nth;
  }
  EXPECT_GE(left, 1);
}

// Files without an index: nobody can tell them from those that somebody copied there.
TEST_F(FileSetTest, NewFilesThatCannotBeRemovedOnTheWayBackStayWithoutAnIndex) {
  int left = 0;
  for (const int nth_rename : {4, 5}) {  // those of the second shard and of the index
    bool failed = true;
    for (int nth = 1; failed; ++nth) {
      {
        const FailingCalls failing(Call::kRename, EIO, nth_rename);
        const FailingCalls no_way_back(Call::kUnlink, EIO, nth);
        EXPECT_THROW(replace(), std::exception);
        failed = no_way_back.failed();
      }
      left += contents().contains(kClaim) ? 1 : 0;
      remove_abandoned_files(folder_.path());
      for (const std::string& name : folder_.names()) {
        EXPECT_THAT(name, ::testing::AnyOf("m-1", "m-2")) << nth;
        std::filesystem::remove(folder_ / name);
      }
    }
  }
  EXPECT_GE(left, 1);
}

TEST_F(FileSetTest, AClaimOfSomebodyElseStays) {
  {
    const FileSet set(paths());
    std::filesystem::remove(folder_ / kClaim);
    folder_.write(kClaim, "another's");
  }
  EXPECT_EQ(read_bytes(folder_ / kClaim), "another's");
  EXPECT_TRUE(is_set_claim(kClaim));
  EXPECT_FALSE(is_set_claim(kClaim + 1)) << "it is not hidden";
}

TEST_F(FileSetTest, AProcessThatIsKilledLeavesAllToBePutBack) {
  for (const Call call : {Call::kRename, Call::kLink, Call::kUnlink}) {
    bool killed = true;
    int kills = 0;
    for (int nth = 1; killed; ++nth) {
      write_old();
      killed = killed_at(call, nth);
      kills += killed ? 1 : 0;
      // Who finds an index finds its files.
      const Contents left = contents();
      if (left.contains("m.index")) {
        EXPECT_EQ(left.at("m-1"), left.at("m.index"));
        EXPECT_EQ(left.at("m-2"), left.at("m.index"));
      }
      remove_abandoned_files(folder_.path());
      const Contents found = contents();
      EXPECT_TRUE(found == set_of("old") || found == set_of("new"))
          << nth << " " << ::testing::PrintToString(found);
      // The next job of the set finds its way alone, too.
      replace();
      EXPECT_EQ(contents(), set_of("new"));
    }
    EXPECT_GE(kills, 3);
  }
}

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

TEST_F(FileSetTest, RelativePathsMeanTheFolderOfTheirTime) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  std::filesystem::create_directory("inner");
  const std::vector<std::string> names = {"m-1", "m.index"};
  std::vector<std::unique_ptr<AtomicFile>> files;
  for (const std::string& name : names) {
    files.push_back(std::make_unique<AtomicFile>(name, std::span<const FileIdentity>()));
    files.back()->finish(false);
  }
  {
    FileSet set(names);
    std::filesystem::current_path("inner");
    set.publish(files, false);
  }
  std::filesystem::current_path(before);
  EXPECT_THAT(folder_.names(), ElementsAre("inner", "m-1", "m.index"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "inner"));
}

TEST_F(FileSetTest, NamesMayBeAsLongAsNamesMayBe) {
  const std::string stem(254, 'm');
  const std::vector<std::string> longest = {folder_ / (stem + "1"), folder_ / (stem + "2")};
  folder_.write(stem + "1", "old");
  std::vector<std::unique_ptr<AtomicFile>> files;
  for (const std::string& path : longest) {
    files.push_back(std::make_unique<AtomicFile>(path, std::span<const FileIdentity>()));
    files.back()->finish(false);
  }
  {
    FileSet set(longest);
    set.publish(files, false);
  }
  EXPECT_THAT(folder_.names(), ElementsAre(stem + "1", stem + "2"));
}

}  // namespace
}  // namespace quarrow

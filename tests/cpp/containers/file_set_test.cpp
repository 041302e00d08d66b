// SPDX-License-Identifier: Apache-2.0
#include "containers/file_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "containers/abandoned_files.h"
#include "containers/failing_calls.h"
#include "containers/test_file_set.h"
#include "containers/test_files.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

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

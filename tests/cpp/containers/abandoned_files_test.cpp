// SPDX-License-Identifier: Apache-2.0
#include "containers/abandoned_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <thread>
#include <utility>

#include "containers/failing_calls.h"
#include "containers/file_lock.h"
#include "containers/name_in_use.h"
#include "containers/test_files.h"
#include "quarrow/containers/file.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;

// A number that no process has any more.
std::string dead_process() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  int status = 0;
  ::waitpid(child, &status, 0);
  return std::to_string(child);
}

TEST(AbandonedFiles, ThoseOfDeadProcessesGoAndNothingElse) {
  const TestFolder folder;
  const std::string dead = dead_process();
  folder.write(".other.quarrow-" + dead + ".tmp", "");
  folder.write(".other.quarrow-" + dead + "-01ab.tmp", "");
  std::vector<std::string> kept = {".out.quarrow-" + dead + "x.tmp",
                                   ".out.quarrow-" + dead + ".tmp2",
                                   ".out.quarrow-1.tmp",
                                   ".out.quarrow-1-01ab.tmp",
                                   ".quarrow-" + dead + ".tmp",
                                   "out.quarrow-" + dead + ".tmp"};
  for (const std::string& name : kept) folder.write(name, "");
  kept.push_back(".folder.quarrow-" + dead + ".tmp");
  std::filesystem::create_directory(folder / kept.back());
  kept.push_back(".link.quarrow-" + dead + ".tmp");
  std::filesystem::create_symlink(kept.front(), folder / kept.back());
  remove_abandoned_files(folder.path());
  EXPECT_THAT(folder.names(), UnorderedElementsAreArray(kept));
}

TEST(AbandonedFiles, ThatOfADeadProcessWithOurNumberGoes) {
  const TestFolder folder;
  folder.write(".out.quarrow-" + std::to_string(::getpid()) + "-01ab.tmp", "left behind");
  remove_abandoned_files(folder.path());
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(AbandonedFiles, ThatOfAThreadOfOursStaysThoughItIsNotLockedYet) {
  const TestFolder folder;
  const std::string name = ".out.quarrow-" + std::to_string(::getpid()) + "-01ab.tmp";
  folder.write(name, "");
  const NameInUse in_use(name);
  ASSERT_TRUE(in_use.held());
  remove_abandoned_files(folder.path());
  EXPECT_THAT(folder.names(), ElementsAre(name));
}

TEST(AbandonedFiles, ALockedOneStaysWhateverItsNumber) {
  // The writer may live in another container, where its number means another process.
  const TestFolder folder;
  const std::string name = ".out.quarrow-" + dead_process() + "-01ab.tmp";
  const File writer = File::open_to_read(folder.write(name, ""));
  ASSERT_EQ(::flock(writer.descriptor(), LOCK_EX | LOCK_NB), 0);
  remove_abandoned_files(folder.path());
  EXPECT_THAT(folder.names(), ElementsAre(name));
}

TEST(AbandonedFiles, AnotherFileThatTookTheNameStays) {
  const TestFolder folder;
  const std::string name = ".out.quarrow-" + dead_process() + "-01ab.tmp";
  folder.write(name, "abandoned");
  const BeforeCall replaced(Call::kFlock, 1, [&] {
    std::filesystem::rename(folder / name, folder / "published");
    folder.write(name, "another");
  });
  remove_abandoned_files(folder.path());
  EXPECT_EQ(read_bytes(folder / name), "another");
}

TEST(AbandonedFiles, WhereThereAreNoLocksNobodyIsKnownToBeGone) {
  const TestFolder folder;
  const std::string name = ".out.quarrow-" + dead_process() + "-01ab.tmp";
  folder.write(name, "");
  for (const int error : {ENOLCK, ENOSYS, EOPNOTSUPP, EBADF, EINVAL}) {
    const FailingCalls no_locks(Call::kFlock, error);
    remove_abandoned_files(folder.path());
    EXPECT_THAT(folder.names(), ElementsAre(name)) << error;
    EXPECT_TRUE(no_locks.failed());
  }
}

TEST(AbandonedFiles, WithoutMemoryTheyStayAndTheProcessLives) {
  const TestFolder folder;
  const std::string name = ".out.quarrow-" + dead_process() + "-01ab.tmp";
  folder.write(name, "");
  const int before = open_descriptors();
  {
    const FailingCalls no_memory(Call::kAllocation, ENOMEM);
    remove_abandoned_files(folder.path());
    EXPECT_TRUE(no_memory.failed());
  }
  EXPECT_THAT(folder.names(), ElementsAre(name));
  EXPECT_EQ(open_descriptors(), before);
}

TEST(AbandonedFiles, AFileThatTakesTheNameMeanwhileStays) {
  const TestFolder folder;
  const std::string name = ".out.quarrow-" + dead_process() + "-01ab.tmp";
  const std::string path = folder.write(name, "abandoned");
  const BeforeCall replaced(Call::kFlock, 1, [&] {
    std::filesystem::remove(path);
    folder.write(name, "another");
  });
  // A new file may have the number of one that is gone; this one is held open.
  const File held = File::open_to_read(path);
  remove_abandoned_files(folder.path());
  EXPECT_EQ(read_bytes(path), "another");
}

TEST(AbandonedFiles, OneThatCannotBeLookedAtStays) {
  const TestFolder folder;
  const std::string name = ".out.quarrow-" + dead_process() + "-01ab.tmp";
  folder.write(name, "");
  {
    const FailingCalls failing(Call::kStatus, EIO);
    remove_abandoned_files(folder.path());
    EXPECT_TRUE(failing.failed());
  }
  EXPECT_THAT(folder.names(), ElementsAre(name));
  remove_abandoned_files(folder / "none");
}

TEST(FileLock, ANameIsThatOfAnOpenFileOrNot) {
  const TestFolder folder;
  const File file = File::open_to_read(folder.write("a", ""));
  EXPECT_TRUE(is_name_of(folder / "a", file.descriptor()));
  EXPECT_FALSE(is_name_of(folder.write("b", ""), file.descriptor()));
  EXPECT_FALSE(is_name_of("/dev/null", file.descriptor())) << "another device";
  EXPECT_FALSE(is_name_of(folder / "none", file.descriptor()));
  EXPECT_FALSE(is_name_of(folder / "a", -1));
}

TEST(NameInUse, BelongsToOneObjectUntilItGoes) {
  {
    NameInUse first("name");
    EXPECT_TRUE(first.held());
    EXPECT_FALSE(NameInUse("name").held());
    EXPECT_TRUE(is_in_use("name"));
    const NameInUse moved = std::move(first);
    EXPECT_TRUE(moved.held());
    EXPECT_TRUE(is_in_use("name"));
  }
  EXPECT_FALSE(is_in_use("name"));
}

TEST(NameInUse, AForkAmongThreadsThatUseNamesHangsNoChild) {
  std::atomic<bool> done = false;
  std::thread other([&] {
    while (!done) const NameInUse in_use("name");
  });
  for (int round = 0; round < 50; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(10);
      ::_exit(NameInUse("name").held() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    if (status != 0) break;
  }
  done = true;
  other.join();
}

TEST(NameInUse, AForkedChildStartsWithNone) {
  const NameInUse parents("name");
  const pid_t child = ::fork();
  if (child == 0) ::_exit(is_in_use("name") || !NameInUse("name").held() ? 1 : 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(is_in_use("name"));
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "containers/temporary_name.h"
#include "containers/test_files.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A number that no process has any more.
pid_t dead_process() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  int status = 0;
  ::waitpid(child, &status, 0);
  return child;
}

class AtomicFileTest : public ::testing::Test {
 protected:
  static void fill(AtomicFile& output, std::string_view bytes) {
    output.resize(bytes.size());
    output.file().write_at(bytes.data(), bytes.size(), 0);
  }
  PathRule rule_of(const std::string& destination, const FileIdentity& source = {}) {
    try {
      const AtomicFile output(destination, {&source, 1});
    } catch (const PathFault& fault) {
      EXPECT_EQ(fault.path, destination);
      return fault.rule;
    }
    throw std::runtime_error("the destination was accepted");
  }

  TestFolder folder_;
};

TEST_F(AtomicFileTest, AppearsOnCommitOnly) {
  AtomicFile output(folder_ / "out", {});
  fill(output, "bytes");
  EXPECT_THAT(folder_.names(), ElementsAre(".out.quarrow-" + std::to_string(::getpid()) + ".tmp"));
  EXPECT_TRUE(output.flush(5, nullptr));
  output.finish(true);
  output.publish(true);
  EXPECT_THAT(folder_.names(), ElementsAre("out"));
  EXPECT_EQ(read_bytes(folder_ / "out"), "bytes");
}

TEST_F(AtomicFileTest, LeavesTheOldFileWhenNotCommitted) {
  folder_.write("out", "old");
  {
    AtomicFile output(folder_ / "out", {});
    fill(output, "new bytes");
  }
  EXPECT_THAT(folder_.names(), ElementsAre("out"));
  EXPECT_EQ(read_bytes(folder_ / "out"), "old");
}

TEST_F(AtomicFileTest, KeepsThePermissionsOfTheFileItReplaces) {
  ::chmod(folder_.write("out", "old").c_str(), 0640);
  AtomicFile output(folder_ / "out", {});
  output.finish(false);
  output.publish(false);
  struct stat status{};
  ASSERT_EQ(::stat((folder_ / "out").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640U);
}

TEST_F(AtomicFileTest, RefusesTheSourceAlsoThroughLinks) {
  const std::string source = folder_.write("source", "x");
  std::filesystem::create_hard_link(source, folder_ / "hard");
  std::filesystem::create_symlink("source", folder_ / "soft");
  const FileIdentity identity = File::open_to_read(source).identity();
  EXPECT_EQ(rule_of(source, identity), PathRule::kSameFile);
  EXPECT_EQ(rule_of(folder_ / "hard", identity), PathRule::kSameFile);
  EXPECT_EQ(rule_of(folder_ / "soft", identity), PathRule::kSameFile);
}

TEST_F(AtomicFileTest, RefusesFoldersAndDevices) {
  EXPECT_EQ(rule_of(folder_.path()), PathRule::kFolder);
  EXPECT_EQ(rule_of(folder_ / "absent/"), PathRule::kFolder);
  ::mkfifo((folder_ / "pipe").c_str(), 0600);
  EXPECT_EQ(rule_of(folder_ / "pipe"), PathRule::kNotRegular);
}

TEST_F(AtomicFileTest, RefusesALinkToAStreamOfTheProcess) {
  // As /dev/stdout is one, here to a regular file.
  const File stream = File::in_memory(1);
  std::filesystem::create_symlink("/proc/self/fd/" + std::to_string(stream.descriptor()),
                                  folder_ / "out");
  EXPECT_EQ(rule_of(folder_ / "out"), PathRule::kNotRegular);
  EXPECT_TRUE(std::filesystem::is_symlink(folder_ / "out"));
}

TEST_F(AtomicFileTest, RefusesADestinationThatIsBeingWritten) {
  const AtomicFile first(folder_ / "out", {});
  EXPECT_EQ(rule_of(folder_ / "out"), PathRule::kBeingWritten);
}

TEST_F(AtomicFileTest, ReplacesALinkAndNotWhatItPointsTo) {
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

TEST_F(AtomicFileTest, ReportsAMissingFolderWithTheDestination) {
  try {
    const AtomicFile output(folder_ / "absent/out", {});
    FAIL();
  } catch (const std::filesystem::filesystem_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    EXPECT_EQ(error.path1(), folder_ / "absent/out");
  }
}

TEST_F(AtomicFileTest, RemovesTheTemporariesOfDeadProcessesAndNothingElse) {
  const std::string dead = std::to_string(dead_process());
  folder_.write(".other.quarrow-" + dead + ".tmp", "");
  const std::vector<std::string> kept = {
      ".out.quarrow-" + dead + "x.tmp", ".out.quarrow-" + dead + ".tmp2", ".out.quarrow-1.tmp",
      ".quarrow-" + dead + ".tmp", "out.quarrow-" + dead + ".tmp"};
  for (const std::string& name : kept) folder_.write(name, "");
  std::filesystem::create_directory(folder_ / (".folder.quarrow-" + dead + ".tmp"));
  {
    const AtomicFile output(folder_ / "out", {});
  }
  const auto names = folder_.names();
  EXPECT_THAT(names, ::testing::Not(::testing::Contains(".other.quarrow-" + dead + ".tmp")));
  EXPECT_THAT(names, ::testing::IsSupersetOf(kept));
  EXPECT_THAT(names, ::testing::Contains(".folder.quarrow-" + dead + ".tmp"));
}

TEST_F(AtomicFileTest, ATemporaryOfADeadProcessWithOurNumberIsReplaced) {
  folder_.write(".out.quarrow-" + std::to_string(::getpid()) + ".tmp", "left behind");
  AtomicFile output(folder_ / "out", {});
  output.finish(false);
  output.publish(false);
  EXPECT_THAT(folder_.names(), ElementsAre("out"));
  EXPECT_EQ(read_bytes(folder_ / "out"), "");
}

TEST_F(AtomicFileTest, ALockedTemporaryStaysWhateverItsNumber) {
  // The writer may live in another container, where its number means another process.
  const std::string name = ".out.quarrow-" + std::to_string(dead_process()) + ".tmp";
  AtomicFile writer(folder_ / "out", {});
  std::filesystem::rename(folder_ / folder_.names()[0], folder_ / name);
  {
    const AtomicFile other(folder_ / "other", {});
  }
  EXPECT_THAT(folder_.names(), ElementsAre(name));
}

class StopAtOnce : public Poll {
 public:
  bool keep_going() noexcept override { return false; }
};

TEST_F(AtomicFileTest, FlushStopsWhenThePollSaysSo) {
  AtomicFile output(folder_ / "out", {});
  StopAtOnce stop;
  EXPECT_FALSE(output.flush(0, &stop));
}

TEST(TemporaryName, IsCutToWhatAFileNameMayBe) {
  const std::string name(255, 'n');
  const std::string temporary = temporary_name(name, 4194304);
  EXPECT_EQ(temporary.size(), 255U);
  EXPECT_EQ(temporary_owner(temporary), 4194304);
  EXPECT_EQ(temporary_name("a", 7), ".a.quarrow-7.tmp");
}

TEST(TemporaryName, OwnerIsAProcessNumber) {
  EXPECT_EQ(temporary_owner(".a.quarrow-0.tmp"), std::nullopt);
  EXPECT_EQ(temporary_owner(".a.quarrow--5.tmp"), std::nullopt);
  EXPECT_EQ(temporary_owner(".a.quarrow-99999999999999999999.tmp"), std::nullopt);
  EXPECT_EQ(temporary_owner(".a.quarrow-.tmp"), std::nullopt);
}

}  // namespace
}  // namespace quarrow

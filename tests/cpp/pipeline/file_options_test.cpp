// SPDX-License-Identifier: Apache-2.0
//
// What a file job asks of the system: how many threads, and what has to reach the disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <vector>

#include "containers/failing_calls.h"
#include "containers/test_files.h"
#include "pipeline/test_checkpoint.h"
#include "quarrow/containers/checkpoint.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

ino_t inode_of(const std::string& path) {
  struct stat status = {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_ino;
}

// Records how many threads it was offered.
class RecordingExecutor final : public Executor {
 public:
  std::string_view name() const noexcept override { return "recording"; }
  bool run(std::size_t count, std::size_t threads, Body body, Poll* poll) override {
    offered.push_back(threads);
    return default_executor().run(count, threads, body, poll);
  }
  std::vector<std::size_t> offered;
};

class FileOptions : public ::testing::Test {
 protected:
  void run(std::int64_t rows, const FileJobOptions& options, std::uint64_t max_shard_bytes = 0) {
    TestCheckpoint checkpoint;
    checkpoint.add_random("a.weight", ElementType::kF32, {rows, 512});
    checkpoint.add_random("b.weight", ElementType::kF32, {rows, 512});
    folder_.write("in", checkpoint.bytes());
    const Checkpoint source = open_checkpoint(folder_ / "in", Io::kRead);
    const Format format = default_format(*find_format("int8_rowwise"));
    FilePlan plan = plan_quantized(source, stored_layers_of(source), {&format, 1}, {},
                                   {.dtype = {}, .max_shard_bytes = max_shard_bytes});
    paths_ = shard_paths(folder_ / "out", plan.outputs.size());
    take_synced();
    ASSERT_TRUE(run_file_job(source, plan, folder_ / "out", options, context_).finished);
  }

  TestFolder folder_;
  RecordingExecutor executor_;
  Context context_ = {
      .executor = &executor_, .target = *default_target(), .threads = 3, .poll = nullptr};
  std::vector<std::string> paths_;
};

TEST_F(FileOptions, SyncReachesEveryFileAndThenTheirFolder) {
  for (const std::uint64_t shard_bytes : {0U, 100'000U}) {
    run(300, {.sync = true}, shard_bytes);
    ASSERT_THAT(paths_, SizeIs(shard_bytes == 0 ? 1 : 3));
    const std::vector<ino_t> synced = take_synced();
    for (const std::string& path : paths_) EXPECT_THAT(synced, Contains(inode_of(path))) << path;
    ASSERT_THAT(synced, Not(IsEmpty()));
    EXPECT_EQ(synced.back(), inode_of(folder_.path()));
  }
}

TEST_F(FileOptions, WithoutSyncNothingIsAskedOfTheDisk) {
  for (const std::uint64_t shard_bytes : {0U, 100'000U}) {
    run(300, {.sync = false}, shard_bytes);
    EXPECT_THAT(take_synced(), IsEmpty());
  }
}

TEST_F(FileOptions, AFileOfAMegabyteHasAllThreadsAndASmallOneIsWorkForOne) {
  run(600, {.sync = false});
  ASSERT_THAT(executor_.offered, Not(IsEmpty()));
  EXPECT_THAT(executor_.offered, Each(3));
  executor_.offered.clear();
  run(60, {.sync = false});
  ASSERT_THAT(executor_.offered, Not(IsEmpty()));
  EXPECT_THAT(executor_.offered, Each(1));
}

}  // namespace
}  // namespace quarrow

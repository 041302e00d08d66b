// SPDX-License-Identifier: Apache-2.0
//
// Writers in one folder, of one process and of several containers, on file systems of all kinds.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif

#include <atomic>
#include <barrier>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "containers/failing_calls.h"
#include "containers/test_files.h"
#include "quarrow/containers/atomic_file.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

struct FileSystem {
  const char* name;
  bool unnamed_files;
  bool locks;
};

class ConcurrentWriters : public ::testing::TestWithParam<FileSystem> {
 protected:
  void SetUp() override {
    if (!GetParam().unnamed_files) no_unnamed_.emplace(Call::kOpenUnnamed, EOPNOTSUPP);
    if (!GetParam().locks) no_locks_.emplace(Call::kFlock, ENOLCK);
  }

  // Writes files named after the writer, whose bytes are their names. False when one is not whole.
  bool write_files(const std::string& writer, int count) const {
    for (int number = 0; number < count; ++number) {
      const std::string name = writer + "-" + std::to_string(number);
      AtomicFile output(folder_ / name, {});
      output.resize(name.size());
      output.file().write_at(name.data(), name.size(), 0);
      output.finish(false);
      output.publish(false);
      if (read_bytes(folder_ / name) != name) return false;
    }
    return true;
  }

  TestFolder folder_;

 private:
  std::optional<FailingCalls> no_unnamed_;
  std::optional<FailingCalls> no_locks_;
};

INSTANTIATE_TEST_SUITE_P(Files, ConcurrentWriters,
                         ::testing::Values(FileSystem{"unnamed", true, true},
                                           FileSystem{"named", false, true},
                                           FileSystem{"unnamed_without_locks", true, false},
                                           FileSystem{"named_without_locks", false, false}),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST_P(ConcurrentWriters, ThreadsLeaveEachOtherAlone) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] { EXPECT_TRUE(write_files(std::to_string(thread), 25)); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(folder_.names().size(), 200U);
}

// As two jobs do whose callbacks write each other's destination.
TEST_P(ConcurrentWriters, OfTwoThatWouldWaitForEachOtherOneIsRefused) {
  std::barrier both_write(2);
  std::atomic<int> written = 0;
  std::atomic<int> refused = 0;
  const auto write_two = [&](const char* name, const char* other) {
    const AtomicFile own(folder_ / name, {});
    both_write.arrive_and_wait();
    try {
      const AtomicFile second(folder_ / other, {});
      ++written;
    } catch (const PathFault& fault) {
      EXPECT_EQ(fault.rule, PathRule::kBeingWritten);
      ++refused;
    }
  };
  std::thread thread(write_two, "a", "b");
  write_two("b", "a");
  thread.join();
  EXPECT_EQ(written, 1);
  EXPECT_EQ(refused, 1);
}

TEST_P(ConcurrentWriters, ContainersLeaveEachOtherAlone) {
#ifdef __linux__
  // In each the writer is process 1, and no number of another means anything.
  constexpr int kNoNamespaces = 77;
  std::vector<pid_t> starters;
  for (int container = 0; container < 4; ++container) {
    const pid_t starter = ::fork();
    if (starter == 0) {
      if (::unshare(CLONE_NEWPID) != 0) ::_exit(kNoNamespaces);
      const pid_t writer = ::fork();
      if (writer == 0) {
        bool whole = false;
        try {
          whole = ::getpid() == 1 && write_files(std::to_string(container), 50);
        } catch (const std::exception&) {
          whole = false;
        }
        ::_exit(whole ? 0 : 1);
      }
      int status = 0;
      ::waitpid(writer, &status, 0);
      ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    starters.push_back(starter);
  }
  bool skipped = false;
  for (const pid_t starter : starters) {
    int status = 0;
    ASSERT_EQ(::waitpid(starter, &status, 0), starter);
    ASSERT_TRUE(WIFEXITED(status));
    skipped = skipped || WEXITSTATUS(status) == kNoNamespaces;
    EXPECT_TRUE(skipped || WEXITSTATUS(status) == 0) << WEXITSTATUS(status);
  }
  if (skipped) GTEST_SKIP() << "PID namespaces need root, or a kernel that lets users make them";
  EXPECT_EQ(folder_.names().size(), 200U);
#else
  GTEST_SKIP() << "PID namespaces are Linux's";
#endif
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "quarrow/core/executor.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cfenv>
#include <chrono>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "core/failing_threads.h"

namespace quarrow {
namespace {

class ExecutorTest : public testing::TestWithParam<const char*> {
 protected:
  Executor& executor() { return *executor_from_name(GetParam()); }
};

std::vector<const char*> executor_names() { return {"pool", "plain"}; }

INSTANTIATE_TEST_SUITE_P(All, ExecutorTest, testing::ValuesIn(executor_names()),
                         [](const auto& executor) { return std::string(executor.param); });

TEST_P(ExecutorTest, CallsEachIndexOnceForAnyThreadCount) {
  for (const std::size_t threads : {1U, 2U, 3U, 8U}) {
    for (const std::size_t count : {0U, 1U, 2U, 1000U}) {
      std::vector<std::atomic<int>> calls(count);
      const bool completed = executor().run(
          count, threads, [&](std::size_t index, std::size_t) { ++calls[index]; }, nullptr);
      EXPECT_TRUE(completed);
      for (const auto& call : calls) EXPECT_EQ(call.load(), 1);
    }
  }
}

TEST_P(ExecutorTest, NoWorkerRunsTwoTilesAtOnce) {
  constexpr std::size_t kThreads = 4;
  std::vector<std::atomic<int>> running(kThreads);
  std::atomic<bool> overlapped = false;
  executor().run(
      200, kThreads,
      [&](std::size_t, std::size_t worker) {
        ASSERT_LT(worker, kThreads);
        if (++running[worker] != 1) overlapped = true;
        std::this_thread::yield();
        --running[worker];
      },
      nullptr);
  EXPECT_FALSE(overlapped);
}

TEST_P(ExecutorTest, TheCallingThreadWorksAsWorkerZero) {
  std::atomic<int> own = 0;
  const auto caller = std::this_thread::get_id();
  executor().run(
      50, 2,
      [&](std::size_t, std::size_t worker) {
        if (std::this_thread::get_id() == caller) {
          EXPECT_EQ(worker, 0U);
          ++own;
        }
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      },
      nullptr);
  EXPECT_GT(own, 0);
}

TEST_P(ExecutorTest, UsesMoreThanOneThreadWhereTheyAreAllowed) {
  if (available_cpus() < 2) GTEST_SKIP() << "one CPU";
  std::atomic<int> elsewhere = 0;
  const auto caller = std::this_thread::get_id();
  executor().run(
      200, 2,
      [&](std::size_t, std::size_t) {
        if (std::this_thread::get_id() != caller) ++elsewhere;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      },
      nullptr);
  EXPECT_GT(elsewhere, 0);
}

class StopAtOnce final : public Poll {
 public:
  bool keep_going() noexcept override {
    caller_ = std::this_thread::get_id();
    ++calls_;
    return false;
  }
  std::thread::id caller_;
  int calls_ = 0;
};

TEST_P(ExecutorTest, PollStopsTheJobOnTheCallingThread) {
  StopAtOnce poll;
  std::atomic<std::size_t> done = 0;
  const bool completed = executor().run(
      2000, 2,
      [&](std::size_t, std::size_t) {
        ++done;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      },
      &poll);
  EXPECT_FALSE(completed);
  EXPECT_EQ(poll.calls_, 1);
  EXPECT_EQ(poll.caller_, std::this_thread::get_id());
  EXPECT_LT(done, 2000U);
}

// By what arithmetic does: fegetround() reads the mode of another unit on x86-64.
bool rounds_up() {
  const volatile float one = 1.0F;
  const volatile float quarter_step = 0x1p-25F;
  return one + quarter_step > one;
}

TEST_P(ExecutorTest, TilesRoundToNearestWhateverTheCallerSet) {
  std::fenv_t saved;
  std::fegetenv(&saved);
  std::fesetround(FE_UPWARD);
  std::atomic<int> wrong = 0;
  executor().run(
      64, 3,
      [&](std::size_t, std::size_t) {
        if (rounds_up()) ++wrong;
      },
      nullptr);
  const bool is_back = rounds_up();
  std::fesetenv(&saved);
  EXPECT_TRUE(is_back) << "the caller's mode is not back";
  EXPECT_EQ(wrong, 0);
}

#if defined(__x86_64__)
unsigned control_register() {
  unsigned value = 0;
  asm volatile("stmxcsr %0" : "=m"(value));
  return value;
}

TEST_P(ExecutorTest, TilesKeepDenormalsWhateverTheCallerSet) {
  constexpr unsigned kFlush = 0x8040;  // FTZ and DAZ
  const unsigned saved = control_register();
  const unsigned flushing = saved | kFlush;
  asm volatile("ldmxcsr %0" : : "m"(flushing));
  std::atomic<int> wrong = 0;
  executor().run(
      64, 3,
      [&](std::size_t, std::size_t) {
        if ((control_register() & kFlush) != 0) ++wrong;
      },
      nullptr);
  const unsigned after = control_register();
  asm volatile("ldmxcsr %0" : : "m"(saved));
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(after & kFlush, kFlush) << "the caller's mode is not back";
}
#endif

TEST_P(ExecutorTest, AForkedChildWorksOnItsCallingThread) {
  executor().run(64, 2, [](std::size_t, std::size_t) {}, nullptr);  // starts the workers
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(5);
    std::set<std::size_t> workers;
    std::size_t done = 0;
    executor().run(
        64, 4,
        [&](std::size_t, std::size_t worker) {
          workers.insert(worker);
          ++done;
        },
        nullptr);
    _exit(done == 64 && workers == std::set<std::size_t>{0} ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST_P(ExecutorTest, AThreadThatCannotBeStartedIsOneFewer) {
  for (std::size_t started = 0; started < 3; ++started) {
    const FailingThreads failing(started);
    std::vector<std::atomic<int>> calls(64);
    const bool completed = executor().run(
        calls.size(), 4, [&](std::size_t index, std::size_t) { ++calls[index]; }, nullptr);
    EXPECT_TRUE(completed);
    for (const auto& call : calls) EXPECT_EQ(call.load(), 1);
  }
}

// Forks at its first call, and says in the child that the job may go on.
class ForkingPoll final : public Poll {
 public:
  bool keep_going() noexcept override {
    if (child == -1) child = fork();
    if (child == 0) alarm(30);
    return true;
  }
  pid_t child = -1;
};

TEST_P(ExecutorTest, AChildForkedByThePollStopsAndTheParentGoesOn) {
  ForkingPoll poll;
  std::vector<std::atomic<int>> calls(100);
  const bool completed = executor().run(
      calls.size(), 4,
      [&](std::size_t index, std::size_t) {
        ++calls[index];
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      },
      &poll);
  if (poll.child == 0) {
    // Here the tiles that other threads had begun are lost; new jobs are not.
    std::size_t done = 0;
    executor().run(8, 4, [&](std::size_t, std::size_t) { ++done; }, nullptr);
    _exit(!completed && done == 8 ? 0 : 1);
  }
  ASSERT_GT(poll.child, 0);
  int status = 0;
  ASSERT_EQ(waitpid(poll.child, &status, 0), poll.child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_TRUE(completed);
  for (const auto& call : calls) EXPECT_EQ(call.load(), 1);
}

TEST_P(ExecutorTest, JobsOfSeveralThreadsRunSideBySide) {
  std::vector<std::thread> callers;
  std::atomic<std::size_t> total = 0;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        executor().run(50, 3, [&](std::size_t index, std::size_t) { total += index; }, nullptr);
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(total, 4U * 20U * (49U * 50U / 2U));
}

TEST(Executors, AnUnknownNameIsNone) { EXPECT_EQ(executor_from_name("enqueue"), nullptr); }

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "core/worker_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#ifdef __linux__
#include <sched.h>
#include <unistd.h>
#endif

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "core/failing_threads.h"
#include "core/test_pools.h"
#include "core/tile_loop.h"

namespace quarrow {
namespace {

// Calls `look` on a thread of a pool that this thread was the first to use.
template <typename Look>
void on_a_worker(Look look) {
  WorkerPool& pool = new_pool(1);
  std::atomic<bool> came = false;
  const auto body = [&](std::size_t, std::size_t worker) {
    if (worker != 0) {
      look();
      came = true;
    }
    while (!came) std::this_thread::yield();
  };
  TileLoop loop(2, body, nullptr);
  run_awake(pool, loop, 1);
}

// Runs `count` tiles with `wanted` workers and the calling thread; how often each tile ran.
std::vector<int> run(WorkerPool& pool, std::size_t count, std::size_t wanted,
                     std::atomic<std::size_t>* workers_seen = nullptr) {
  std::vector<std::atomic<int>> calls(count);
  const auto body = [&](std::size_t index, std::size_t worker) {
    ++calls[index];
    if (workers_seen != nullptr && worker != 0) ++*workers_seen;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  };
  TileLoop loop(count, body, nullptr);
  run_awake(pool, loop, wanted);
  return {calls.begin(), calls.end()};
}

TEST(WorkerPool, AThreadThatCannotBeStartedIsOneFewer) {
  for (std::size_t started = 0; started <= 4; ++started) {
    WorkerPool& pool = new_pool(4);
    for (int round = 0; round < 3; ++round) {
      const FailingThreads failing(started);
      EXPECT_EQ(run(pool, 64, 4), std::vector<int>(64, 1)) << started;
      EXPECT_GT(failing.asked(), 0U);
      if (started != 0) break;
    }
  }
}

TEST(WorkerPool, AsksForThreadsAgainWhenThereWereNone) {
  WorkerPool& pool = new_pool(2);
  {
    const FailingThreads failing(0);
    EXPECT_EQ(run(pool, 16, 2), std::vector<int>(16, 1));
    EXPECT_EQ(failing.asked(), 1U);
  }
  std::atomic<std::size_t> elsewhere = 0;
  run(pool, 500, 2, &elsewhere);
  EXPECT_GT(elsewhere, 0U);
}

TEST(WorkerPool, StartsNoMoreThreadsThanItMay) {
  WorkerPool& pool = new_pool(3);
  const FailingThreads counted(100);
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(run(pool, 50, 8), std::vector<int>(50, 1));
  }
  EXPECT_EQ(counted.asked(), 3U);
}

TEST(WorkerPool, RemembersNoRoomInAJobThatIsOver) {
  WorkerPool& pool = new_pool(8);
  const FailingThreads counted(100);
  // The caller has nothing to do, and is gone before the thread comes.
  for (int round = 0; round < 50; ++round) run(pool, 0, 1);
  EXPECT_EQ(counted.asked(), 1U);
}

// Each tile of one job waits until the other job has begun, so that both must be served at a time.
TEST(WorkerPool, ServesSeveralJobsAtATime) {
  WorkerPool& pool = new_pool(2);
  std::atomic<int> begun = 0;
  const auto body = [&](std::size_t, std::size_t) {
    ++begun;
    while (begun < 4) std::this_thread::yield();
  };
  const auto run_job = [&] {
    TileLoop loop(2, body, nullptr);
    run_awake(pool, loop, 1);
  };
  std::thread other(run_job);
  run_job();
  other.join();
  EXPECT_EQ(begun, 4);
}

// Runs a job of one tile for each of `wanted` workers and the caller, which wait for each other.
// False when they are never there at a time.
bool meet(WorkerPool& pool, std::size_t wanted) {
  std::atomic<std::size_t> begun = 0;
  std::atomic<bool> met = true;
  const auto body = [&](std::size_t, std::size_t) {
    ++begun;
    if (met && !comes_true([&] { return begun == wanted + 1 || !met; })) met = false;
  };
  TileLoop loop(wanted + 1, body, nullptr);
  run_awake(pool, loop, wanted);
  return met;
}

TEST(WorkerPool, WakesAsManyThreadsAsAJobCanUse) {
  WorkerPool& pool = new_pool(3);
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(meet(pool, 3));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

TEST(WorkerPool, StartsAThreadWhereThoseThatThereAreAreBusy) {
  WorkerPool& pool = new_pool(2);
  std::atomic<int> begun = 0;
  std::atomic<bool> done = false;
  std::thread other([&] {
    const auto body = [&](std::size_t, std::size_t) {
      ++begun;
      while (!done) std::this_thread::yield();
    };
    TileLoop loop(2, body, nullptr);
    run_awake(pool, loop, 1);
  });
  EXPECT_TRUE(comes_true([&] { return begun == 2; }));
  EXPECT_TRUE(meet(pool, 1));
  done = true;
  other.join();
}

// A job of one tile, and how often that ran.
struct OneTile {
  std::atomic<int> calls = 0;
  std::function<void(std::size_t, std::size_t)> body = [this](std::size_t, std::size_t) {
    ++calls;
  };
  TileLoop loop{1, body, nullptr};
  WorkerPool::Job job{.loop = loop, .wanted = 1};
};

TEST(WorkerPool, AJobThatIsWithdrawnUnbegunLeavesThoseBesideIt) {
  WorkerPool& pool = new_pool(1);
  std::array<OneTile, 5> tiles;
  {
    const FailingThreads none(0);
    for (const std::size_t number : {0U, 1U, 2U}) pool.offer(tiles[number].job);
    pool.withdraw(tiles[1].job);
    pool.withdraw(tiles[2].job);
    pool.offer(tiles[3].job);
  }
  pool.offer(tiles[4].job);
  pool.wake_for(tiles[4].job);  // starts a thread
  while (tiles[4].calls == 0) std::this_thread::yield();
  for (const std::size_t number : {0U, 3U, 4U}) pool.withdraw(tiles[number].job);
  for (std::size_t number = 0; number < tiles.size(); ++number) {
    EXPECT_EQ(tiles[number].calls, number == 1 || number == 2 ? 0 : 1) << number;
  }
}

// More rounds than a thread stays awake for, with pauses that let it fall asleep.
TEST(WorkerPool, WakesThreadsThatSleep) {
  WorkerPool& pool = new_pool(1);
  std::atomic<bool> came = false;
  for (int round = 0; round < 20; ++round) {
    came = false;
    // The caller's tile ends when the worker has begun the other one.
    const auto body = [&](std::size_t, std::size_t worker) {
      if (worker != 0) came = true;
      while (!came) std::this_thread::yield();
    };
    TileLoop loop(2, body, nullptr);
    run_awake(pool, loop, 1);
    EXPECT_TRUE(came);
    std::this_thread::sleep_for(std::chrono::milliseconds(round % 4));
  }
}

TEST(WorkerPool, LeavesSignalsToTheProgramButNotItsOwnFaults) {
  sigset_t blocked;
  on_a_worker([&] { pthread_sigmask(SIG_SETMASK, nullptr, &blocked); });
  for (const int number : {SIGINT, SIGTERM, SIGALRM}) EXPECT_TRUE(sigismember(&blocked, number));
  for (const int number : {SIGSEGV, SIGBUS}) EXPECT_FALSE(sigismember(&blocked, number));
  pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  EXPECT_FALSE(sigismember(&blocked, SIGINT));
}

#ifdef __linux__
TEST(WorkerPool, IsNotBoundToTheCpusOfItsFirstCaller) {
  cpu_set_t process;
  ASSERT_EQ(sched_getaffinity(getpid(), sizeof(process), &process), 0);
  if (CPU_COUNT(&process) < 2) GTEST_SKIP() << "this process has one CPU";
  cpu_set_t of_worker;
  std::thread([&] {
    std::size_t first = 0;
    while (!CPU_ISSET(first, &process)) ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    on_a_worker([&] { sched_getaffinity(0, sizeof(of_worker), &of_worker); });
  }).join();
  EXPECT_TRUE(CPU_EQUAL(&of_worker, &process));
}
#endif

}  // namespace
}  // namespace quarrow

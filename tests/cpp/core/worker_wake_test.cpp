// SPDX-License-Identifier: Apache-2.0
//
// Which jobs wake workers that sleep. Time goes on where a test says so, and nowhere else.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <thread>

#include "core/failing_threads.h"
#include "core/test_pools.h"
#include "core/tile_loop.h"
#include "core/worker_pool.h"

namespace quarrow {
namespace {

using Clock = WorkerPool::Clock;

constexpr Clock::duration kTick{1};

std::atomic<Clock::rep> ticks = Clock::duration(std::chrono::hours(1)).count();

Clock::time_point test_time() noexcept { return Clock::time_point(Clock::duration(ticks)); }

void pass(Clock::duration time) { ticks += time.count(); }

// Tiles that take a thread `tile` each.
class Tiles {
 public:
  Tiles(std::size_t count, Clock::duration tile) : tile_(tile), loop(count, body_, nullptr) {}

  std::size_t by_caller() const { return by_caller_; }

 private:
  std::atomic<std::size_t> by_caller_ = 0;
  Clock::duration tile_;
  std::function<void(std::size_t, std::size_t)> body_ = [this](std::size_t, std::size_t worker) {
    if (worker == 0) ++by_caller_;
    pass(tile_);
  };

 public:
  TileLoop loop;
};

// The smallest job that is worth it is one of kTiles such tiles. The caller has run two when it
// decides, and takes the next one itself.
constexpr std::size_t kTiles = 11;
constexpr Clock::duration kTile = Clock::duration(WorkerPool::kWorthWaking) / (kTiles - 3);

class WorkerWake : public testing::Test {
 protected:
  // Whoever looks at a clock that stands still never falls asleep.
  ~WorkerWake() override { EXPECT_TRUE(fall_asleep()); }

  void wake() {
    Tiles one(1, kTick);
    run_awake(pool_, one.loop, 1);
  }

  bool fall_asleep() {
    return comes_true([this] {
      pass(WorkerPool::kAwake + kTick);
      return pool_.asleep() == 1;
    });
  }

  // Whether a job of so many tiles wakes a worker that sleeps.
  bool wakes(std::size_t count, Clock::duration tile) {
    Tiles tiles(count, tile);
    WorkerPool::Job job{.loop = tiles.loop, .wanted = 1};
    EXPECT_FALSE(pool_.offer(job));
    const bool pays = pool_.lead_until_waking_pays(job);
    tiles.loop.lead();
    pool_.withdraw(job);
    EXPECT_EQ(tiles.by_caller(), count);
    return pays;
  }

  // Runs a job whose tiles but for the first two wait for a worker. False when none comes.
  bool meets_a_worker(Clock::duration tile) {
    std::atomic<bool> came = false;
    const auto body = [&](std::size_t index, std::size_t worker) {
      if (worker != 0) came = true;
      if (index < 2) pass(tile);
      if (index >= 2) comes_true([&] { return came.load(); });
    };
    TileLoop loop(4, body, nullptr);
    pool_.run(loop, 1);
    return came;
  }

  WorkerPool& pool_ = new_pool(1, &test_time);
};

TEST_F(WorkerWake, ASleepingPoolSharesWhatTakesLongAlone) {
  wake();
  ASSERT_TRUE(fall_asleep());
  EXPECT_FALSE(wakes(kTiles, kTile - kTick));
  ASSERT_TRUE(fall_asleep());
  EXPECT_FALSE(wakes(kTiles - 1, kTile));
  ASSERT_TRUE(fall_asleep());
  EXPECT_TRUE(wakes(kTiles, kTile));
  ASSERT_TRUE(fall_asleep());
  EXPECT_TRUE(meets_a_worker(WorkerPool::kWorthWaking));
}

TEST_F(WorkerWake, APoolThatIsAwakeSharesEveryJob) {
  wake();
  for (int round = 0; round < 3; ++round) EXPECT_TRUE(meets_a_worker({}));
}

TEST_F(WorkerWake, AHugeLastTileIsTheCallersOwn) {
  wake();
  ASSERT_TRUE(fall_asleep());
  EXPECT_FALSE(wakes(3, 10 * WorkerPool::kWorthWaking));
}

TEST_F(WorkerWake, ASlowFirstTileSaysNothingOfTheRest) {
  wake();
  ASSERT_TRUE(fall_asleep());
  const auto body = [](std::size_t index, std::size_t) {
    if (index == 0) pass(WorkerPool::kWorthWaking);
  };
  TileLoop loop(kTiles, body, nullptr);
  WorkerPool::Job job{.loop = loop, .wanted = 1};
  pool_.offer(job);
  EXPECT_FALSE(pool_.lead_until_waking_pays(job));
  pool_.withdraw(job);
}

TEST_F(WorkerWake, NoThreadIsStartedForASmallJob) {
  const FailingThreads counted(100);
  Tiles tiles(kTiles, kTile - kTick);
  pool_.run(tiles.loop, 1);
  EXPECT_EQ(tiles.by_caller(), kTiles);
  EXPECT_EQ(counted.asked(), 0U);
  wake();
}

// Small jobs of a bound together, as far apart as those may be that follow each other.
TEST_F(WorkerWake, SmallJobsThatFollowEachOtherForLongWakeItTogether) {
  wake();
  ASSERT_TRUE(fall_asleep());
  const Clock::time_point began = test_time();
  while (test_time() - began < WorkerPool::kWorthWaking) {
    EXPECT_FALSE(wakes(2, kTile));
    pass(WorkerPool::kAwake);
  }
  EXPECT_TRUE(meets_a_worker({}));
}

TEST_F(WorkerWake, SmallJobsThatAreFartherApartDoNot) {
  wake();
  ASSERT_TRUE(fall_asleep());
  for (int round = 0; round < 100; ++round) {
    EXPECT_FALSE(wakes(2, kTile));
    pass(WorkerPool::kAwake + kTick);
  }
}

TEST_F(WorkerWake, WhoeverComesTooLateStaysAwake) {
  wake();
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(fall_asleep());
    // Until it does sleep, it may be quick enough for a job that is over at once.
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    Tiles none(0, kTick);
    run_awake(pool_, none.loop, 1);
    ASSERT_TRUE(comes_true([&] { return pool_.asleep() == 0; }));
  }
}

}  // namespace
}  // namespace quarrow

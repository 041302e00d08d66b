// SPDX-License-Identifier: Apache-2.0
//
// Files that another thread writes, and jobs that are stopped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "containers/test_atomic_file.h"

namespace quarrow {
namespace {

class WaitOnce : public Poll {
 public:
  explicit WaitOnce(std::function<void()> meanwhile) : meanwhile_(std::move(meanwhile)) {}
  bool keep_going() noexcept override {
    ++asked;
    meanwhile_();
    return true;
  }
  int asked = 0;

 private:
  std::function<void()> meanwhile_;
};

TEST_P(AtomicFileTest, WaitsWhileAnotherThreadWritesTheDestination) {
  std::optional<AtomicFile> first(std::in_place, folder_ / "out", std::span<const FileIdentity>());
  fill(*first, "first");
  std::thread second([&] {
    WaitOnce poll([&] {
      if (!first) return;
      complete(*first);
      first.reset();
    });
    AtomicFile output(folder_ / "out", {}, &poll);
    EXPECT_GE(poll.asked, 1);
    EXPECT_EQ(read_bytes(folder_ / "out"), "first");
    fill(output, "second");
    complete(output);
  });
  second.join();
  EXPECT_EQ(read_bytes(folder_ / "out"), "second");
}

TEST_P(AtomicFileTest, LooksAtTheDestinationAgainWhenItHasWaited) {
  const std::string source = folder_.write("source", "x");
  const FileIdentity identity = File::open_to_read(source).identity();
  std::optional<AtomicFile> first(std::in_place, folder_ / "out", std::span<const FileIdentity>());
  std::thread second([&] {
    WaitOnce poll([&] {
      if (first) std::filesystem::create_hard_link(source, folder_ / "out");
      first.reset();
    });
    try {
      const AtomicFile output(folder_ / "out", {&identity, 1}, &poll);
      ADD_FAILURE() << "the source would have been replaced";
    } catch (const PathFault& fault) {
      EXPECT_EQ(fault.rule, PathRule::kSameFile);
    }
  });
  second.join();
}

class StopAtOnce : public Poll {
 public:
  bool keep_going() noexcept override { return false; }
};

TEST_P(AtomicFileTest, ThePollStopsTheWaiting) {
  const AtomicFile first(folder_ / "out", {});
  std::thread second([&] {
    StopAtOnce stop;
    EXPECT_THROW(AtomicFile(folder_ / "out", {}, &stop), AtomicFile::Stopped);
  });
  second.join();
}

TEST_P(AtomicFileTest, FlushStopsWhenThePollSaysSo) {
  AtomicFile output(folder_ / "out", {});
  fill(output, "bytes");
  StopAtOnce stop;
  EXPECT_FALSE(output.flush(0, &stop));
  EXPECT_FALSE(output.flush(5, &stop));
}

TEST_P(AtomicFileTest, WithoutAPollTheDestinationIsWaitedForToo) {
  std::optional<AtomicFile> first(std::in_place, folder_ / "out", std::span<const FileIdentity>());
  std::atomic<bool> has_it = false;
  std::thread second([&] {
    AtomicFile output(folder_ / "out", {});
    has_it = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(has_it);
  first.reset();
  second.join();
  EXPECT_TRUE(has_it);
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// A copy by two threads, as fast as a program can make one: the second thread exists already, and
// stays awake for a while after its part, as the workers of quarrow do. Loaded with ctypes.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>

namespace {

struct Piece {
  std::byte* to;
  const std::byte* from;
  std::size_t bytes;
};

// Copies the bytes from `start` to `end` of pieces laid one behind another.
void copy(const Piece* pieces, std::size_t start, std::size_t end) {
  for (std::size_t at = 0; at < end; at += pieces++->bytes) {
    const std::size_t first = std::max(start, at) - at;
    const std::size_t last = std::min(end - at, pieces->bytes);
    if (first < last) std::memcpy(pieces->to + first, pieces->from + first, last - first);
  }
}

class SecondThread {
 public:
  SecondThread() {
    std::thread([this] { serve(); }).detach();
  }

  void start(const Piece* pieces, std::size_t start, std::size_t end) {
    pieces_ = pieces;
    start_ = start;
    end_ = end;
    asked_.fetch_add(1);
    asked_.notify_one();
  }

  void wait() const {
    while (done_.load() != asked_.load()) std::this_thread::yield();
  }

 private:
  void serve() {
    constexpr std::chrono::microseconds kAwake{100};
    for (std::uint32_t served = 0;; done_.store(++served)) {
      const auto start = std::chrono::steady_clock::now();
      while (asked_.load() == served) {
        if (std::chrono::steady_clock::now() - start > kAwake) asked_.wait(served);
      }
      copy(pieces_, start_, end_);
    }
  }

  const Piece* pieces_ = nullptr;
  std::size_t start_ = 0;
  std::size_t end_ = 0;
  std::atomic<std::uint32_t> asked_{0};
  std::atomic<std::uint32_t> done_{0};
};

}  // namespace

// Copies pieces of so many bytes together, half by each thread; one thread calls it at a time.
extern "C" void quarrow_copy(const Piece* pieces, std::size_t bytes) {
  // Never destroyed: its thread ends with the process.
  static auto& second = *new SecondThread();
  const std::size_t half = bytes / 2 / 4096 * 4096;
  second.start(pieces, half, bytes);
  copy(pieces, 0, half);
  second.wait();
}

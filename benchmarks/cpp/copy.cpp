// SPDX-License-Identifier: Apache-2.0
//
// A copy by two threads, as fast as a program can make one: the second thread exists already, and
// stays awake for a while after its part, as the workers of quarrow do. Loaded with ctypes.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>

namespace {

constexpr std::chrono::microseconds kAwake{100};

class SecondThread {
 public:
  SecondThread() { std::thread([this] { serve(); }).detach(); }

  void start(std::byte* to, const std::byte* from, std::size_t bytes) {
    to_ = to;
    from_ = from;
    bytes_ = bytes;
    asked_.fetch_add(1);
    asked_.notify_one();
  }

  void wait() const {
    while (done_.load() != asked_.load()) {
    }
  }

 private:
  void serve() {
    for (std::uint32_t served = 0;; done_.store(++served)) {
      const auto start = std::chrono::steady_clock::now();
      while (asked_.load() == served) {
        if (std::chrono::steady_clock::now() - start > kAwake) asked_.wait(served);
      }
      std::memcpy(to_, from_, bytes_);
    }
  }

  std::byte* to_ = nullptr;
  const std::byte* from_ = nullptr;
  std::size_t bytes_ = 0;
  std::atomic<std::uint32_t> asked_{0};
  std::atomic<std::uint32_t> done_{0};
};

}  // namespace

// Copies `bytes` of `from`; one thread calls it at a time.
extern "C" void quarrow_copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  // Never destroyed: its thread ends with the process.
  static auto& second = *new SecondThread();
  const std::size_t half = bytes / 2 / 4096 * 4096;
  second.start(to + half, from + half, bytes - half);
  std::memcpy(to, from, half);
  second.wait();
}

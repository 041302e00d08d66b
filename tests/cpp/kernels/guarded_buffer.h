// SPDX-License-Identifier: Apache-2.0
//
// Memory that shows reads and writes beyond its end.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace quarrow {

// `bytes` bytes, `slack` bytes before a page that cannot be touched: with a slack of 0 one byte too
// far is a fault. Everything is filled with `fill`, also what lies before and behind.
class GuardedBuffer {
 public:
  GuardedBuffer(std::size_t bytes, std::size_t slack, std::uint8_t fill)
      : bytes_(bytes), slack_(slack), fill_(fill) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    usable_ = (bytes + slack + kBefore + page - 1) / page * page;
    void* memory =
        mmap(nullptr, usable_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    memory_ = static_cast<std::uint8_t*>(memory);
    mapped_ = usable_ + page;
    if (mprotect(memory_ + usable_, page, PROT_NONE) != 0) throw std::bad_alloc();
    std::memset(memory_, fill, usable_);
  }
  ~GuardedBuffer() { munmap(memory_, mapped_); }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  std::uint8_t* data() { return memory_ + usable_ - slack_ - bytes_; }
  std::size_t size() const { return bytes_; }

  // Whether what lies before and behind still is as it was filled.
  bool surroundings_untouched() {
    for (std::uint8_t* at = memory_; at != memory_ + usable_; ++at) {
      const bool inside = at >= data() && at < data() + bytes_;
      if (!inside && *at != fill_) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kBefore = 256;
  std::size_t bytes_;
  std::size_t slack_;
  std::uint8_t fill_;
  std::uint8_t* memory_ = nullptr;
  std::size_t usable_ = 0;
  std::size_t mapped_ = 0;
};

}  // namespace quarrow

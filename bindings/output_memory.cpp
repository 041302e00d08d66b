// SPDX-License-Identifier: Apache-2.0
#include "output_memory.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <cstdlib>
#include <new>

namespace quarrow::python {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20U;
// Fresh memory in small pages costs three times the quantization itself: every page is a fault.
constexpr std::size_t kHugePagesFrom = std::size_t{4} << 20U;

constexpr std::size_t round_up(std::size_t bytes, std::size_t step) {
  return (bytes + step - 1) / step * step;
}

}  // namespace

std::shared_ptr<std::byte> allocate_output(std::size_t bytes) {
  if (bytes > static_cast<std::size_t>(-1) / 2) {
    throw std::bad_alloc();
  }
  const bool huge = bytes >= kHugePagesFrom;
  const std::size_t alignment = huge ? kHugePage : kCacheLine;
  const std::size_t size = round_up(bytes == 0 ? 1 : bytes, kCacheLine);
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, size) != 0) {
    throw std::bad_alloc();
  }
#ifdef __linux__
  if (huge) {
    // A hint: where huge pages are off, small ones serve.
    (void)madvise(memory, size, MADV_HUGEPAGE);
  }
#endif
  return {static_cast<std::byte*>(memory), [](std::byte* pointer) { std::free(pointer); }};
}

}  // namespace quarrow::python

// SPDX-License-Identifier: Apache-2.0
#include "quarrow/core/output_memory.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#include "core/checked_math.h"

namespace quarrow {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20U;
// Fresh memory in small pages costs three times the quantization itself: every page is a fault.
constexpr std::size_t kHugePagesFrom = std::size_t{4} << 20U;

// One block for the memory and its reference count: an aligned allocation of its own would be a
// tenth of a small call.
std::shared_ptr<std::byte> allocate_small(std::size_t bytes) {
  auto block = std::make_shared_for_overwrite<std::byte[]>(bytes + kCacheLine);
  const auto address = reinterpret_cast<std::uintptr_t>(block.get());
  std::byte* const first = block.get() + (round_up(address, kCacheLine) - address);
  return {std::move(block), first};
}

std::shared_ptr<std::byte> allocate_large(std::size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kHugePage, bytes) != 0) {
    throw std::bad_alloc();
  }
#ifdef __linux__
  // A hint: where huge pages are off, small ones serve.
  (void)madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  return {static_cast<std::byte*>(memory), [](std::byte* pointer) { std::free(pointer); }};
}

}  // namespace

std::shared_ptr<std::byte> allocate_output(std::size_t bytes) {
  if (bytes > static_cast<std::size_t>(-1) / 2) {
    throw std::bad_alloc();
  }
  return bytes < kHugePagesFrom ? allocate_small(bytes) : allocate_large(bytes);
}

}  // namespace quarrow

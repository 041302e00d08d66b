// SPDX-License-Identifier: Apache-2.0
//
// A library that takes failures badly, to see that the injector finds it.
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>

extern "C" {

// Allocates `times`, one after the other. Returns how often that worked.
int planted_allocations(int times) {
  int worked = 0;
  for (int i = 0; i < times; ++i) {
    const std::unique_ptr<void, decltype(&std::free)> memory(std::malloc(64), &std::free);
    if (memory != nullptr) ++worked;
  }
  return worked;
}

// Ends the process when operator new throws.
int planted_abort() noexcept {
  ::operator delete(::operator new(64));
  return 1;
}

// Writes to what it got, whatever it is.
int planted_unchecked() {
  auto* const number = static_cast<volatile int*>(std::malloc(sizeof(int)));
  *number = 1;
  const int result = *number;
  std::free(const_cast<int*>(number));
  return result;
}

// Waits for ever where there is no memory.
int planted_hang() {
  static std::atomic<bool> never{false};
  void* const memory = std::malloc(64);
  while (memory == nullptr && !never) {
  }
  std::free(memory);
  return 1;
}
}

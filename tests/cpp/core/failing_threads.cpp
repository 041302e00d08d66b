// SPDX-License-Identifier: Apache-2.0
#include "core/failing_threads.h"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <limits>

namespace {

constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

std::atomic<std::size_t> allowed{kAll};
std::atomic<std::size_t> calls{0};

}  // namespace

// The library's calls come here first, since the program is searched first.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*start)(void*), void* argument) noexcept {
  if (calls.fetch_add(1) >= allowed.load()) return EAGAIN;
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  return create(thread, attributes, start, argument);
}

namespace quarrow {

FailingThreads::FailingThreads(std::size_t started) {
  calls = 0;
  allowed = started;
}

FailingThreads::~FailingThreads() { allowed = kAll; }

std::size_t FailingThreads::asked() const { return calls; }

}  // namespace quarrow

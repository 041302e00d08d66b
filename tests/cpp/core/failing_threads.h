// SPDX-License-Identifier: Apache-2.0
//
// Threads of this program that cannot be started.
#pragma once

#include <cstddef>

namespace quarrow {

// While it lives, only the first `started` calls of pthread_create() succeed. One at a time.
class FailingThreads {
 public:
  explicit FailingThreads(std::size_t started);
  ~FailingThreads();
  FailingThreads(const FailingThreads&) = delete;
  FailingThreads& operator=(const FailingThreads&) = delete;

  std::size_t asked() const;
};

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// Objects that outlive the process's exit handlers.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace quarrow {

// For a static: a thread may still run a job while exit() destroys what is static. Needs no memory
// of its own.
template <typename T>
class NeverDestroyed {
 public:
  template <typename... Args>
  explicit NeverDestroyed(Args&&... args) : object_(new (memory_) T(std::forward<Args>(args)...)) {}
  NeverDestroyed(const NeverDestroyed&) = delete;
  NeverDestroyed& operator=(const NeverDestroyed&) = delete;

  T& operator*() const noexcept { return *object_; }

 private:
  alignas(T) std::byte memory_[sizeof(T)];
  T* object_;
};

}  // namespace quarrow

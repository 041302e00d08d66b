// SPDX-License-Identifier: Apache-2.0
//
// Notices fork(): in the child no other thread exists, and files and locks are still the parent's.
#pragma once

namespace quarrow {

// Remembers the process it was made in.
class ForkWatch {
 public:
  ForkWatch() noexcept : forks_(forks()) {}

  // True in a process that fork() made since.
  bool in_child() const noexcept { return forks_ != forks(); }

 private:
  static unsigned forks() noexcept;

  unsigned forks_;
};

// True in a process that fork() made after this library was loaded: no worker thread exists there.
bool in_forked_child() noexcept;

}  // namespace quarrow

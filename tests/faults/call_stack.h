// SPDX-License-Identifier: Apache-2.0
//
// Who called: us, or somebody else in the process.
#pragma once

#include <cstddef>

namespace quarrow::faults {

// Looks at which libraries are loaded, for all stacks to come.
void find_modules();

// The frames below the caller, innermost first. Allocates nothing.
class CallStack {
 public:
  CallStack();

  // True when the call is made by our library, or by the C and C++ libraries on its behalf.
  bool is_ours() const;

  // Writes the frames to standard error.
  void print() const;

 private:
  static constexpr std::size_t kMost = 64;

  void* frames_[kMost];
  std::size_t count_ = 0;
};

}  // namespace quarrow::faults

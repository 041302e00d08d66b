// SPDX-License-Identifier: Apache-2.0
//
// The interpreter's lock: letting go of it, and taking it back while the interpreter may end.
//
// Nothing else in these bindings releases or takes the lock. Once the interpreter ends, a thread
// that asks for its lock never gets it. CPython 3.14 lets such a thread wait for ever; older ones
// end it by unwinding its stack, through frames that do not expect it. Here it always waits: see
// thread_exit.cpp. What the thread holds is left to the system, which ends the process.
#pragma once

#include <nanobind/nanobind.h>

namespace quarrow::python {

// Lets other threads have the lock for a scope. Needs the lock.
class UnlockedScope {
 public:
  UnlockedScope() noexcept;
  ~UnlockedScope();
  UnlockedScope(const UnlockedScope&) = delete;
  UnlockedScope& operator=(const UnlockedScope&) = delete;
};

// Has the lock for a scope within an UnlockedScope of the same thread.
class LockedScope {
 public:
  LockedScope() noexcept;
  ~LockedScope();
  LockedScope(const LockedScope&) = delete;
  LockedScope& operator=(const LockedScope&) = delete;
};

// Has the lock for a scope, on any thread and whether it has the lock already or not; or has not,
// and is false, when the interpreter ends: the thread may be one that Python has never seen, to
// which an interpreter that has ended could give nothing.
class LockedFromAnywhere {
 public:
  LockedFromAnywhere() noexcept;
  ~LockedFromAnywhere();
  LockedFromAnywhere(const LockedFromAnywhere&) = delete;
  LockedFromAnywhere& operator=(const LockedFromAnywhere&) = delete;

  explicit operator bool() const noexcept { return locked_; }

 private:
  bool locked_;
  PyGILState_STATE state_{};
};

// Makes LockedFromAnywhere end with the interpreter. Once, when the module is made.
void watch_interpreter_end();

}  // namespace quarrow::python

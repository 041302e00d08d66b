// SPDX-License-Identifier: Apache-2.0
#include "interpreter_lock.h"

#include <pthread.h>

#include <atomic>
#include <thread>

namespace nb = nanobind;

namespace quarrow::python {
namespace {

// Of this thread, between the release of the lock and its return.
// Initial-exec: the loader ends the process when it finds no memory for other kinds.
[[gnu::tls_model("initial-exec")]] constinit thread_local PyThreadState* released = nullptr;

// The way to the lock for threads from anywhere. It is closed before the interpreter ends, and then
// nobody is on it: so nobody can find the interpreter gone half way.
constinit std::atomic<int> on_the_way{0};
constinit std::atomic<bool> closed{false};
pthread_t closing_thread;

bool enter() noexcept {
  on_the_way.fetch_add(1);
  if (!closed.load() || pthread_equal(closing_thread, pthread_self()) != 0) return true;
  on_the_way.fetch_sub(1);
  return false;
}

void close_way() {
  closing_thread = pthread_self();
  closed.store(true);
  // Those who are on it wait for the lock.
  const UnlockedScope unlocked;
  while (on_the_way.load() != 0) std::this_thread::yield();
}

// Other threads of the parent do not exist in a child; the one that forked has the lock.
[[maybe_unused]] const int kForkHandler =
    pthread_atfork(nullptr, nullptr, [] { on_the_way.store(0); });

}  // namespace

UnlockedScope::UnlockedScope() noexcept { released = PyEval_SaveThread(); }
UnlockedScope::~UnlockedScope() { PyEval_RestoreThread(released); }

LockedScope::LockedScope() noexcept { PyEval_RestoreThread(released); }
LockedScope::~LockedScope() { released = PyEval_SaveThread(); }

LockedFromAnywhere::LockedFromAnywhere() noexcept : locked_(enter()) {
  if (!locked_) return;
  state_ = PyGILState_Ensure();
  on_the_way.fetch_sub(1);
}

LockedFromAnywhere::~LockedFromAnywhere() {
  if (locked_) PyGILState_Release(state_);
}

void watch_interpreter_end() {
  closed.store(false);
  nb::module_::import_("atexit").attr("register")(nb::cpp_function(&close_way));
}

}  // namespace quarrow::python

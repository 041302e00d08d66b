// SPDX-License-Identifier: Apache-2.0
//
// The program's own definitions come before those of the C library, to which they pass on.
#include "containers/failing_calls.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <utility>

namespace quarrow {
namespace {

struct Plan {
  std::atomic<int> error{0};  // 0: none fails
  std::atomic<int> nth{0};
  std::atomic<int> calls{0};
  std::atomic<bool> failed{false};
  std::function<void()> action;  // instead of the failure
};

std::atomic<mode_t> last_mode{0};

std::array<Plan, static_cast<std::size_t>(Call::kAllocation) + 1> plans;

Plan& plan_of(Call call) { return plans[static_cast<std::size_t>(call)]; }

bool must_fail(Call call) {
  Plan& plan = plan_of(call);
  const int error = plan.error.load();
  if (error == 0) return false;
  const int number = plan.calls.fetch_add(1) + 1;
  const int nth = plan.nth.load();
  if (nth != 0 && number != nth) return false;
  if (plan.action) {
    plan.action();
    return false;
  }
  if (error == kKilled) ::_exit(EXIT_SUCCESS);
  plan.failed.store(true);
  errno = error;
  return true;
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

FailingCalls::FailingCalls(Call call, int error, int nth) noexcept : call_(call) {
  Plan& plan = plan_of(call);
  plan.nth.store(nth);
  plan.calls.store(0);
  plan.failed.store(false);
  plan.error.store(error);
}

FailingCalls::~FailingCalls() { plan_of(call_).error.store(0); }

int FailingCalls::calls() const noexcept { return plan_of(call_).calls.load(); }
bool FailingCalls::failed() const noexcept { return plan_of(call_).failed.load(); }

BeforeCall::BeforeCall(Call call, int nth, std::function<void()> action) : call_(call) {
  Plan& plan = plan_of(call);
  plan.action = std::move(action);
  plan.nth.store(nth);
  plan.calls.store(0);
  plan.error.store(EINVAL);
}

BeforeCall::~BeforeCall() {
  plan_of(call_).error.store(0);
  plan_of(call_).action = nullptr;
}

mode_t last_mode_of_a_new_file() noexcept { return last_mode.load(); }

int open_descriptors() {
  int count = 0;
  for (int descriptor = 0; descriptor < 1024; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) != -1) ++count;
  }
  return count;
}

}  // namespace quarrow

using quarrow::Call;
using quarrow::must_fail;
using quarrow::next;

extern "C" {

int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  bool unnamed = false;
#ifdef O_TMPFILE
  unnamed = (flags & O_TMPFILE) == O_TMPFILE;
#endif
  if (unnamed || (flags & O_CREAT) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = static_cast<mode_t>(va_arg(arguments, int));
    va_end(arguments);
    quarrow::last_mode.store(mode);
  }
  static const auto real = next<int (*)(const char*, int, ...)>("open");
  return must_fail(unnamed ? Call::kOpenUnnamed : Call::kOpen) ? -1 : real(path, flags, mode);
}

int flock(int descriptor, int operation) noexcept {
  static const auto real = next<int (*)(int, int)>("flock");
  return must_fail(Call::kFlock) ? -1 : real(descriptor, operation);
}

int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  static const auto real = next<int (*)(int, const char*, int, const char*, int)>("linkat");
  return must_fail(Call::kLink) ? -1 : real(from_folder, from, to_folder, to, flags);
}

int rename(const char* from, const char* to) noexcept {
  static const auto real = next<int (*)(const char*, const char*)>("rename");
  return must_fail(Call::kRename) ? -1 : real(from, to);
}

int unlink(const char* path) noexcept {
  static const auto real = next<int (*)(const char*)>("unlink");
  return must_fail(Call::kUnlink) ? -1 : real(path);
}

int fsync(int descriptor) {
  static const auto real = next<int (*)(int)>("fsync");
  return must_fail(Call::kSync) ? -1 : real(descriptor);
}

int getentropy(void* buffer, std::size_t bytes) {
  static const auto real = next<int (*)(void*, std::size_t)>("getentropy");
  return must_fail(Call::kEntropy) ? -1 : real(buffer, bytes);
}

int close(int descriptor) {
  static const auto real = next<int (*)(int)>("close");
  const bool fails = must_fail(Call::kClose);
  const int error = errno;
  const int result = real(descriptor);
  if (!fails) return result;
  errno = error;
  return -1;
}

}  // extern "C"

void* operator new(std::size_t bytes) {
  if (must_fail(Call::kAllocation)) throw std::bad_alloc();
  void* memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
// A sanitizer's own would go with its own delete.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return must_fail(Call::kAllocation) ? nullptr : std::malloc(bytes == 0 ? 1 : bytes);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

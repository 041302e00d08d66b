// SPDX-License-Identifier: Apache-2.0
//
// The program's own definitions come before those of the C library, to which they pass on.
#include "containers/failing_calls.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>
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

// Of fixed size: an allocation here would be one of those that fail.
std::mutex recording;
std::array<ino_t, 1024> synced;
std::size_t synced_count = 0;

void record_sync(int descriptor) {
  using Status = int (*)(int, struct stat*);
  static const auto real = reinterpret_cast<Status>(::dlsym(RTLD_NEXT, "fstat"));
  struct stat status{};
  if (real(descriptor, &status) != 0) return;
  const std::lock_guard lock(recording);
  if (synced_count < synced.size()) synced[synced_count++] = status.st_ino;
}

std::array<Plan, static_cast<std::size_t>(Call::kAllocation) + 1> plans;

Plan& plan_of(Call call) { return plans[static_cast<std::size_t>(call)]; }

bool must_fail(Call call) {
  Plan& plan = plan_of(call);
  const int error = plan.error.load();
  if (error == 0) return false;
  const int number = plan.calls.fetch_add(1) + 1;
  const int nth = plan.nth.load();
  if (nth > 0 && number != nth) return false;
  if (nth < 0 && number < -nth) return false;
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

// What a call that fails answers.
int answer(Call call) { return plan_of(call).error.load() == kNothingDone ? 0 : -1; }

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

std::vector<ino_t> take_synced() {
  const std::lock_guard lock(recording);
  return {synced.begin(), synced.begin() + std::exchange(synced_count, 0)};
}

int open_descriptors() {
  int count = 0;
  for (int descriptor = 0; descriptor < 1024; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) != -1) ++count;
  }
  return count;
}

}  // namespace quarrow

using quarrow::answer;
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
  if (must_fail(Call::kSync)) return -1;
  quarrow::record_sync(descriptor);
  return real(descriptor);
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

int stat(const char* path, struct stat* status) noexcept {
  static const auto real = next<int (*)(const char*, struct stat*)>("stat");
  return must_fail(Call::kStatus) ? -1 : real(path, status);
}

int lstat(const char* path, struct stat* status) noexcept {
  static const auto real = next<int (*)(const char*, struct stat*)>("lstat");
  return must_fail(Call::kStatus) ? -1 : real(path, status);
}

int fstat(int descriptor, struct stat* status) noexcept {
  static const auto real = next<int (*)(int, struct stat*)>("fstat");
  return must_fail(Call::kStatus) ? -1 : real(descriptor, status);
}

ssize_t pread(int descriptor, void* data, std::size_t bytes, off_t offset) {
  static const auto real = next<ssize_t (*)(int, void*, std::size_t, off_t)>("pread");
  return must_fail(Call::kRead) ? answer(Call::kRead) : real(descriptor, data, bytes, offset);
}

ssize_t pwrite(int descriptor, const void* data, std::size_t bytes, off_t offset) {
  static const auto real = next<ssize_t (*)(int, const void*, std::size_t, off_t)>("pwrite");
  return must_fail(Call::kWrite) ? answer(Call::kWrite) : real(descriptor, data, bytes, offset);
}

#ifdef __linux__
ssize_t copy_file_range(int from, off64_t* from_offset, int to, off64_t* to_offset,
                        std::size_t bytes, unsigned flags) {
  using Copy = ssize_t (*)(int, off64_t*, int, off64_t*, std::size_t, unsigned);
  static const auto real = next<Copy>("copy_file_range");
  if (must_fail(Call::kCopyRange)) return answer(Call::kCopyRange);
  return real(from, from_offset, to, to_offset, bytes, flags);
}

int fallocate(int descriptor, int mode, off_t offset, off_t bytes) {
  static const auto real = next<int (*)(int, int, off_t, off_t)>("fallocate");
  return must_fail(Call::kAllocate) ? -1 : real(descriptor, mode, offset, bytes);
}

int sync_file_range(int descriptor, off64_t offset, off64_t bytes, unsigned flags) {
  static const auto real = next<int (*)(int, off64_t, off64_t, unsigned)>("sync_file_range");
  return must_fail(Call::kFlush) ? -1 : real(descriptor, offset, bytes, flags);
}
#endif

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
// That of std::pmr::new_delete_resource.
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  if (must_fail(Call::kAllocation)) throw std::bad_alloc();
  const auto align = static_cast<std::size_t>(alignment);
  void* memory = std::aligned_alloc(align, (bytes + align - 1) / align * align);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

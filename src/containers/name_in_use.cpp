// SPDX-License-Identifier: Apache-2.0
#include "containers/name_in_use.h"

#include <pthread.h>

#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace quarrow {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, std::thread::id, std::less<>> names;  // with the thread that uses it
  std::map<std::thread::id, std::string> awaited;             // by threads that wait

  bool leads_to(std::thread::id thread, std::string_view name) const noexcept {
    for (;;) {
      const auto user = names.find(name);
      if (user == names.end()) return false;
      if (user->second == thread) return true;
      const auto next = awaited.find(user->second);
      if (next == awaited.end()) return false;
      name = next->second;
    }
  }
};

// Never destroyed: a thread may still work when the process ends.
Registry& registry() {
  static Registry& only = *new Registry;
  return only;
}

// A thread that does not exist in the child could hold the mutex at the fork.
[[maybe_unused]] const int kForkHandlers =
    pthread_atfork([] { registry().mutex.lock(); }, [] { registry().mutex.unlock(); },
                   [] {
                     registry().names.clear();
                     registry().awaited.clear();
                     registry().mutex.unlock();
                   });

}  // namespace

NameInUse::NameInUse(std::string name) : name_(std::move(name)) {
  const std::lock_guard locked(registry().mutex);
  held_ = registry().names.emplace(name_, std::this_thread::get_id()).second;
}

NameInUse::NameInUse(NameInUse&& other) noexcept
    : name_(std::move(other.name_)), held_(std::exchange(other.held_, false)) {}

NameInUse& NameInUse::operator=(NameInUse&& other) noexcept {
  // What it had goes with the other one.
  std::swap(name_, other.name_);
  std::swap(held_, other.held_);
  return *this;
}

NameInUse::~NameInUse() { release(); }

void NameInUse::release() noexcept {
  if (!std::exchange(held_, false)) return;
  const std::lock_guard locked(registry().mutex);
  registry().names.erase(name_);
}

bool is_in_use(std::string_view name) noexcept {
  const std::lock_guard locked(registry().mutex);
  return registry().names.contains(name);
}

NameWait::NameWait(const std::string& name) {
  const std::thread::id self = std::this_thread::get_id();
  const std::lock_guard locked(registry().mutex);
  forever_ = registry().leads_to(self, name);
  // One that is for ever would lead the others round in a circle.
  if (!forever_) registry().awaited.emplace(self, name);
}

NameWait::~NameWait() {
  const std::lock_guard locked(registry().mutex);
  registry().awaited.erase(std::this_thread::get_id());
}

}  // namespace quarrow

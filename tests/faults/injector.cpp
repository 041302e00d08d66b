// SPDX-License-Identifier: Apache-2.0
//
// A library for LD_PRELOAD that counts the system calls and allocations of a job and makes the n-th
// of one kind fail. It stands before the C library, so it sees what goes through the dynamic
// linker.
#include "injector.h"

#include <algorithm>
#include <atomic>
#include <iterator>

#include "call_stack.h"
#include "calls.h"

namespace quarrow::faults {
namespace {

// Of these those of the interpreter do not count: it is not ours to survive their failure.
constexpr Call kOursAlone[] = {Call::kNew, Call::kMalloc, Call::kMmap, Call::kPthreadCreate};

std::atomic<bool> armed{false};
std::atomic<int> target{-1};
std::atomic<long> first{0};
std::atomic<long> last{0};
std::atomic<int> error{kNoFault};
std::atomic<long> injected{0};
std::atomic<long> counted[kCalls];
std::atomic<int> denied[kCalls];

// Initial-exec: the first touch of another kind of thread-local memory allocates.
[[gnu::tls_model("initial-exec")]] thread_local bool inside = false;

std::size_t index_of(Call call) { return static_cast<std::size_t>(call); }

int call_named(const char* name) {
  const auto* const found = std::ranges::find(kCallNames, std::string_view(name));
  return found == std::end(kCallNames) ? -1 : static_cast<int>(found - std::begin(kCallNames));
}

}  // namespace

int fault(Call call) {
  if (!armed.load(std::memory_order_relaxed) || inside) return kNoFault;
  const std::size_t index = index_of(call);
  inside = true;
  int result = kNoFault;
  const CallStack stack;
  if (std::ranges::find(kOursAlone, call) == std::end(kOursAlone) || stack.is_ours()) {
    const long number = ++counted[index];
    if (target == static_cast<int>(call) && number >= first && number <= last) {
      if (++injected == 1) stack.print();
      result = error;
    } else {
      result = denied[index];
    }
  }
  inside = false;
  return result;
}

extern "C" {

int quarrow_fault_arm(const char* call, long from, long to, int code) {
  target = call_named(call);
  first = from;
  last = to;
  error = code;
  injected = 0;
  for (auto& each : counted) each = 0;
  find_modules();
  armed = true;
  return target;
}

long quarrow_fault_disarm() {
  armed = false;
  return injected;
}

long quarrow_fault_counted(const char* call) {
  const int index = call_named(call);
  return index < 0 ? -1 : counted[index].load();
}

int quarrow_fault_deny(const char* call, int code) {
  const int index = call_named(call);
  if (index >= 0) denied[index] = code;
  return index;
}

}  // extern "C"

}  // namespace quarrow::faults

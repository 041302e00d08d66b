// SPDX-License-Identifier: Apache-2.0
//
// What the replaced functions have in common: each asks whether it is to fail this time.
#pragma once

#include <dlfcn.h>
#include <sys/types.h>

#include <cerrno>
#include <cstddef>

#include "injector.h"

// The function that stands behind ours.
#define QUARROW_NEXT(name)                                                                   \
  ([] {                                                                                      \
    static const auto next = reinterpret_cast<decltype(&::name)>(::dlsym(RTLD_NEXT, #name)); \
    return next;                                                                             \
  }())

namespace quarrow::faults {

inline constexpr int kNoFault = 0;

// What this call is to fail with: an errno, a short transfer, the end of the file, or nothing.
int fault(Call call);

// Calls `next`, unless it is to fail: with `failure`, and errno.
template <typename Result, typename Next, typename... Arguments>
Result call_or_fail(Call call, Result failure, Next next, Arguments... arguments) {
  const int code = fault(call);
  if (code == kNoFault) return next(arguments...);
  errno = code;
  return failure;
}

// `next(bytes)`, or half of them, or none because the file is said to end here.
template <typename Next>
ssize_t transfer(Call call, std::size_t bytes, Next next) {
  const int code = fault(call);
  if (code == kNoFault) return next(bytes);
  if (code == kShortTransfer) return next(bytes > 1 ? bytes / 2 : bytes);
  if (code == kEndOfFile) return 0;
  errno = code;
  return -1;
}

}  // namespace quarrow::faults

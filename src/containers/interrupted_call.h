// SPDX-License-Identifier: Apache-2.0
//
// System calls that a signal interrupts.
#pragma once

#include <cerrno>

namespace quarrow {

// The result of a call that answers -1 and sets errno; made again while that is EINTR.
template <typename Call>
auto retry_interrupted(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

}  // namespace quarrow

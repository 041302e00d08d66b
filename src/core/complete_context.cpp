// SPDX-License-Identifier: Apache-2.0
#include "core/complete_context.h"

#include <optional>

namespace quarrow {
namespace {

// Counted once, as the pool of the default executor does: it takes files of the system.
std::size_t cpus() {
  static const std::size_t count = available_cpus();
  return count;
}

}  // namespace

StatusCode complete(Context& context) {
  if (context.executor == nullptr) return StatusCode::kNoExecutor;
  if (context.target == Target{}) {
    const std::optional<Target> target = default_target();
    if (!target) return StatusCode::kNoTarget;
    context.target = *target;
  } else if (!is_runnable(context.target)) {
    return StatusCode::kNoTarget;
  }
  if (context.threads == 0) context.threads = cpus();
  return StatusCode::kOk;
}

}  // namespace quarrow

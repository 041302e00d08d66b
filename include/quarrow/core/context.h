// SPDX-License-Identifier: Apache-2.0
//
// Where and how a job runs.
#pragma once

#include <cstddef>

#include "quarrow/core/executor.h"
#include "quarrow/core/target.h"

namespace quarrow {

// Borrows the executor and the poll. A plain value: make one for each call.
struct Context {
  Executor* executor = &plain_executor();
  Target target;
  std::size_t threads = 1;
  Poll* poll = nullptr;
};

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// Where and how a job runs.
#pragma once

#include <cstddef>

#include "quarrow/core/executor.h"
#include "quarrow/core/target.h"

namespace quarrow {

// Borrows the executor and the poll. A plain value: make one for each call. As it is made, a job
// has every CPU of the process and the best instruction set, and nobody stops it. Jobs report
// kNoExecutor where there is none, and kNoTarget for a target that cannot run here, also where
// QUARROW_FORCE_ISA names it.
struct Context {
  Executor* executor = &default_executor();
  Target target = {};       // left as it is: default_target()
  std::size_t threads = 0;  // at most so many; 0: as many as there are available_cpus()
  Poll* poll = nullptr;
};

}  // namespace quarrow

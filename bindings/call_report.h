// SPDX-License-Identifier: Apache-2.0
//
// What the logger "quarrow" says of calls: a DEBUG record for each, and WARNINGs of what makes them
// slow. The words are made in quarrow.call_log.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>

#include "metrics.h"

namespace quarrow::python {

struct FinishedCall {
  EntryPoint entry = EntryPoint::kQuantize;
  std::uint64_t layers = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_copied = 0;
  double seconds = 0;
  std::size_t threads = 1;             // that could work
  std::size_t offered = 1;             // by threads= or the environment
  std::optional<Target> target;        // nothing when the core did not run
  nanobind::handle name;               // of the only layer, or null
  const FormatSpec* format = nullptr;  // of all layers; null when they differ or are not known
};

// Finds the logger. To be called once, when the module is made.
void prepare_call_log();

// Logs the call when somebody listens, and warns at most once per cause and process when it was
// slow for a reason that the caller can mend. Needs the lock; throws what a handler throws.
void report_call(const FinishedCall& call);

}  // namespace quarrow::python

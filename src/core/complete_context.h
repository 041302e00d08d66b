// SPDX-License-Identifier: Apache-2.0
//
// What a caller leaves open in a Context.
#pragma once

#include "quarrow/core/context.h"
#include "quarrow/core/status.h"

namespace quarrow {

// Fills it in. Returns kNoExecutor or kNoTarget where the context is of no use.
StatusCode complete(Context& context);

}  // namespace quarrow

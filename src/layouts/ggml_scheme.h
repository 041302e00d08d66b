// SPDX-License-Identifier: Apache-2.0
//
// Weights as ggml's programs load them from GGUF: one tensor of the weight's name and shape, whose
// type says all of how it is quantized.
#pragma once

#include "quarrow/layouts/layout.h"

namespace quarrow {

extern const Scheme kGgmlScheme;

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// Weights that were cast to floats of 8 bits, without scales: L.weight F8_E4M3 or F8_E5M2, of its
// own shape, and nothing beside it. Whoever reads it casts it back.
#pragma once

#include "quarrow/layouts/layout.h"

namespace quarrow {

extern const Scheme kPlainFloat8Scheme;

}  // namespace quarrow

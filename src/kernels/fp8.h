// SPDX-License-Identifier: Apache-2.0
//
// fp8_e4m3 and fp8_e5m2: floats of 8 bits with a scale for the tensor or without, design in
// fp8.cpp.
#pragma once

#include "kernels/format_kernels.h"

namespace quarrow {

const FormatKernels& fp8_e4m3_kernels(Target target) noexcept;
const FormatKernels& fp8_e5m2_kernels(Target target) noexcept;

}  // namespace quarrow

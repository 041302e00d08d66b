// SPDX-License-Identifier: Apache-2.0
//
// int8, int4 and int2: a scale (and a zero point) for each group, design in affine.cpp.
#pragma once

#include "kernels/format_kernels.h"

namespace quarrow {

const FormatKernels& affine_kernels(Target target) noexcept;

}  // namespace quarrow

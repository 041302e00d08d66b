// SPDX-License-Identifier: Apache-2.0
//
// ggml's block types of 32 elements, design in ggml_blocks.cpp.
#pragma once

#include "kernels/format_kernels.h"

namespace quarrow {

const FormatKernels& q8_0_kernels(Target target) noexcept;
const FormatKernels& q4_0_kernels(Target target) noexcept;
const FormatKernels& q4_1_kernels(Target target) noexcept;
const FormatKernels& q5_0_kernels(Target target) noexcept;
const FormatKernels& q5_1_kernels(Target target) noexcept;

}  // namespace quarrow

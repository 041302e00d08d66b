// SPDX-License-Identifier: Apache-2.0
//
// ComfyUI's int8: one scale per row, true division.
#pragma once

#include "kernels/format_kernels.h"

namespace quarrow {

const FormatKernels& int8_rowwise_kernels(Target target) noexcept;

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// int8_rowwise as ComfyUI loads it from safetensors.
#pragma once

#include "quarrow/layouts/layout.h"

namespace quarrow {

extern const Scheme kComfyInt8Scheme;

}  // namespace quarrow

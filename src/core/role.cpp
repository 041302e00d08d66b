// SPDX-License-Identifier: Apache-2.0
#include "quarrow/core/role.h"

namespace quarrow {

std::string_view name_of(Role role) noexcept {
  constexpr PerRole<std::string_view> kNames = {
      {"codes", "scales", "zero_points", "tensor_scale", "channel_scales", "codebook"}};
  return kNames[role];
}

}  // namespace quarrow

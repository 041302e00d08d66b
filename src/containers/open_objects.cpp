// SPDX-License-Identifier: Apache-2.0
#include "containers/open_objects.h"

#include <algorithm>

namespace quarrow {

std::optional<std::string_view> OpenObjects::close() {
  const auto first = keys_.begin() + static_cast<std::ptrdiff_t>(starts_.back());
  std::sort(first, keys_.end());
  const auto twice = std::adjacent_find(first, keys_.end());
  std::optional<std::string_view> found;
  if (twice != keys_.end()) found = *twice;
  keys_.erase(first, keys_.end());
  starts_.pop_back();
  return found;
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "throughput_window.h"

#include <algorithm>

namespace quarrow::python {

std::optional<double> ThroughputWindow::add(double throughput) noexcept {
  std::optional<double> missed;
  if (added_ >= kFewest) {
    const double usual = median();
    if (throughput < kFarBelow * usual) {
      missed = usual;
    }
  }
  latest_[added_++ % kMost] = throughput;
  return missed;
}

double ThroughputWindow::median() const noexcept {
  std::array<double, kMost> sorted = latest_;
  const std::size_t count = std::min(added_, kMost);
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(count / 2);
  std::nth_element(sorted.begin(), middle, sorted.begin() + static_cast<std::ptrdiff_t>(count));
  return *middle;
}

}  // namespace quarrow::python

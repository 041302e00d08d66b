// SPDX-License-Identifier: Apache-2.0
//
// The throughputs of the latest calls, to tell one that falls behind.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

namespace quarrow::python {

// Cost and size do not grow with the number of calls.
class ThroughputWindow {
 public:
  // Takes the throughput of the next call. Gives the median of those before it when there are
  // enough of them and this one is below a quarter of it.
  std::optional<double> add(double throughput) noexcept;

 private:
  static constexpr std::size_t kFewest = 16;
  static constexpr std::size_t kMost = 32;
  static constexpr double kFarBelow = 0.25;

  double median() const noexcept;

  std::array<double, kMost> latest_{};
  std::size_t added_ = 0;
};

}  // namespace quarrow::python

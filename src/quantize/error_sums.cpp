// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/floating_point_mode.h"
#include "quarrow/quantize/execute.h"

namespace quarrow {

void ErrorSums::add(const ErrorSums& other) noexcept {
  max_abs = std::max(max_abs, other.max_abs);
  squared_error += other.squared_error;
  squared_original += other.squared_original;
  squared_restored += other.squared_restored;
  product += other.product;
  count += other.count;
}

double ErrorSums::rmse() const noexcept {
  const DefaultFloatingPointMode mode;
  return count == 0 ? 0.0 : std::sqrt(squared_error / static_cast<double>(count));
}

double ErrorSums::sqnr_db() const noexcept {
  const DefaultFloatingPointMode mode;
  if (squared_error == 0) return std::numeric_limits<double>::infinity();
  if (squared_original == 0) return std::numeric_limits<double>::quiet_NaN();
  return 10.0 * std::log10(squared_original / squared_error);
}

double ErrorSums::cosine() const noexcept {
  const DefaultFloatingPointMode mode;
  if (squared_original == 0 && squared_restored == 0) return 1.0;
  const double norms = std::sqrt(squared_original) * std::sqrt(squared_restored);
  return norms == 0 ? 0.0 : product / norms;
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// How floats are rounded, which a caller may have changed on its own thread.
#pragma once

#ifdef __SSE2__
#include <immintrin.h>
#else
#include <cfenv>
#endif

namespace quarrow {

// Round-to-nearest without flush-to-zero for a scope: a caller with another mode would get other
// bits on its own thread than on the workers. On x86-64 that is one register; the whole environment
// (fesetenv) would cost a tenth of a small call for the x87 unit, which nothing here uses.
class DefaultFloatingPointMode {
 public:
#ifdef __SSE2__
  DefaultFloatingPointMode() noexcept : saved_(_mm_getcsr()) { _mm_setcsr(kDefault); }
  ~DefaultFloatingPointMode() { _mm_setcsr(saved_); }
#else
  DefaultFloatingPointMode() noexcept {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloatingPointMode() { std::fesetenv(&saved_); }
#endif
  DefaultFloatingPointMode(const DefaultFloatingPointMode&) = delete;
  DefaultFloatingPointMode& operator=(const DefaultFloatingPointMode&) = delete;

 private:
#ifdef __SSE2__
  static constexpr unsigned kDefault = 0x1F80;  // every exception masked, as at program start
  unsigned saved_;
#else
  std::fenv_t saved_;
#endif
};

}  // namespace quarrow

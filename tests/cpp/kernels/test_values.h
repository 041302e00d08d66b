// SPDX-License-Identifier: Apache-2.0
//
// Values that quantizers meet, and jobs made of them.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <vector>

#include "kernel_run.h"

namespace quarrow {

enum class Values {
  kNormal,
  kUniform,
  kConstant,
  kZero,
  kOutlier,
  kDenormal,
  kLargest,
  kTies,
  kOneSided,
};
inline constexpr std::array kAllValues{Values::kNormal,  Values::kUniform, Values::kConstant,
                                       Values::kZero,    Values::kOutlier, Values::kDenormal,
                                       Values::kLargest, Values::kTies,    Values::kOneSided};
inline constexpr std::array kAllDTypes{DType::kF32, DType::kF16, DType::kBF16, DType::kF64};

inline double largest_of(DType dtype) {
  if (dtype == DType::kF16) return 65504.0;
  if (dtype == DType::kBF16) return 0x1.FEp127;
  return static_cast<double>(std::numeric_limits<float>::max());
}

inline double smallest_of(DType dtype) {
  if (dtype == DType::kF16) return 0x1p-24;
  if (dtype == DType::kBF16) return 0x1p-133;
  return 0x1p-149;
}

inline std::vector<double> make_values(Values kind, DType dtype, std::size_t count,
                                       std::mt19937& random) {
  std::normal_distribution<double> normal(0.0, 0.02);
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  std::uniform_int_distribution<int> small(-9, 9);
  std::vector<double> values(count);
  const double constant = normal(random);
  for (double& value : values) {
    switch (kind) {
      case Values::kNormal:
      case Values::kOutlier:
        value = normal(random);
        break;
      case Values::kUniform:
        value = uniform(random);
        break;
      case Values::kConstant:
        value = constant;
        break;
      case Values::kZero:
        value = random() % 2 == 0 ? 0.0 : -0.0;
        break;
      case Values::kDenormal:
        value = smallest_of(dtype) * small(random);
        break;
      case Values::kLargest:  // one sign: the width of both would overflow
        value = largest_of(dtype) * (random() % 3 == 0 ? 1.0 : 0.25);
        break;
      case Values::kTies:  // halves of a scale that is a power of two
        value = 0.5 * small(random);
        break;
      case Values::kOneSided:
        value = -1.0 - std::fabs(uniform(random));
        break;
    }
  }
  if (kind == Values::kOutlier && count != 0) values[random() % count] = 1000.0;
  return stored_values(dtype, values);
}

inline reference::Job make_job(Values kind, DType dtype, std::size_t rows, std::size_t cols,
                               std::size_t group_size, const CodeRule& rule, std::mt19937& random) {
  return {.values = make_values(kind, dtype, rows * cols, random),
          .rows = rows,
          .cols = cols,
          .group_size = group_size,
          .rule = rule,
          .first_index = 1000,
          .layer_cols = cols + 17,
          .range = {}};
}

// Every combination of bits, symmetry, packing and scale dtype.
inline std::vector<CodeRule> affine_rules() {
  std::vector<CodeRule> rules;
  for (const int bits : {8, 4, 2}) {
    for (const bool symmetric : {false, true}) {
      for (const bool packed : {false, true}) {
        for (const DType scale_dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
          rules.push_back(
              {.bits = bits, .symmetric = symmetric, .packed = packed, .scale_dtype = scale_dtype});
        }
      }
    }
  }
  return rules;
}

}  // namespace quarrow

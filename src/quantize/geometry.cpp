// SPDX-License-Identifier: Apache-2.0
#include "quantize/geometry.h"

#include <algorithm>

#include "core/checked_math.h"
#include "quarrow/core/status.h"

namespace quarrow {
namespace {

constexpr std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) { return a / b + (a % b != 0); }

}  // namespace

Geometry grouped_geometry(const Format& format, std::uint64_t rows, std::uint64_t cols) {
  const auto bits = static_cast<std::uint64_t>(format.spec->bits);
  const bool packed = format.packed && bits < 8;
  Geometry geometry;
  geometry.code_step = packed ? 8 / bits : 1;
  geometry.code_row_bytes = divide_up(cols, geometry.code_step);
  geometry.signed_codes = format.symmetric && !packed;
  geometry.zero_points = !format.symmetric;
  switch (format.group_size.kind) {
    case GroupSize::Kind::kColumns:
      geometry.range_span = RangeSpan::kGroup;
      geometry.scale_rows = rows;
      geometry.groups = divide_up(cols, format.group_size.columns);
      geometry.group_columns = std::clamp<std::uint64_t>(cols, 1, format.group_size.columns);
      break;
    case GroupSize::Kind::kRow:
      geometry.range_span = RangeSpan::kRow;
      geometry.scale_rows = rows;
      geometry.groups = 1;
      geometry.group_columns = std::max<std::uint64_t>(cols, 1);
      break;
    case GroupSize::Kind::kTensor:
      geometry.range_span = RangeSpan::kTensor;
      geometry.scale_rows = 1;
      geometry.groups = 1;
      geometry.group_columns = std::max<std::uint64_t>(cols, 1);
      break;
  }
  const auto scales = checked_product(geometry.scale_rows, geometry.groups);
  if (!scales || !checked_product(*scales, sizeof(float))) {
    throw StatusError(Status{.code = StatusCode::kSizeOverflow});
  }
  return geometry;
}

}  // namespace quarrow

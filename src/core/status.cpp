// SPDX-License-Identifier: Apache-2.0
#include "quarrow/core/status.h"

namespace quarrow {

// Literals: StatusError::what() hands them out as C strings.
std::string_view name_of(StatusCode code) noexcept {
  switch (code) {
    case StatusCode::kOk:
      return "ok";
    case StatusCode::kCancelled:
      return "cancelled";
    case StatusCode::kNonFinite:
      return "non_finite";
    case StatusCode::kRangeOverflow:
      return "range_overflow";
    case StatusCode::kValueOverflow:
      return "value_overflow";
    case StatusCode::kBeyondF32:
      return "beyond_f32";
    case StatusCode::kTooManyDimensions:
      return "too_many_dimensions";
    case StatusCode::kPartialBlock:
      return "partial_block";
    case StatusCode::kSizeOverflow:
      return "size_overflow";
    case StatusCode::kWrongLayerCount:
      return "wrong_layer_count";
    case StatusCode::kBadFormat:
      return "bad_format";
    case StatusCode::kBadDType:
      return "bad_dtype";
    case StatusCode::kBadStride:
      return "bad_stride";
    case StatusCode::kNullInput:
      return "null_input";
    case StatusCode::kNullOutput:
      return "null_output";
    case StatusCode::kOtherTensor:
      return "other_tensor";
    case StatusCode::kPlanNotCut:
      return "plan_not_cut";
    case StatusCode::kBadPolicy:
      return "bad_policy";
    case StatusCode::kNoExecutor:
      return "no_executor";
    case StatusCode::kNoTarget:
      return "no_target";
  }
  return "unknown";
}

}  // namespace quarrow

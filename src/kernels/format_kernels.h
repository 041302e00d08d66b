// SPDX-License-Identifier: Apache-2.0
//
// What a kernel file offers to the engine, and what the engine hands to it. Kernels are noexcept,
// never allocate, and see pointers and counts only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "quarrow/core/dtype.h"
#include "quarrow/core/role.h"
#include "quarrow/core/status.h"
#include "quarrow/core/target.h"

namespace quarrow {

// The range of some values, zero included: lo = min(0, finite values), hi = max(0, finite values).
struct Range {
  float lo = 0.0F;
  float hi = 0.0F;
};

// What a tile found in its input. Positions are flat indices into the layer.
struct TileReport {
  std::uint64_t non_finite = 0;  // how many NaN and Inf
  std::uint64_t first_non_finite = 0;
  NonFiniteKind kind = NonFiniteKind::kNaN;
  std::uint64_t beyond_f32 = 0;  // how many finite f64 values are Inf as f32
  std::uint64_t first_beyond_f32 = 0;
  double value_beyond_f32 = 0;  // the first
  bool range_overflow = false;
  std::uint64_t first_overflow = 0;  // where the first group with hi - lo beyond f32 starts
};

// The fields of a format that a kernel needs.
struct CodeRule {
  int bits = 8;
  bool symmetric = false;
  bool packed = false;          // several codes in a byte, low bits first
  bool unsigned_codes = false;  // symmetric codes plus half of the codes, as some files store them
  DType scale_dtype = DType::kF32;
  bool scaled = true;     // floats: with a scale for the tensor
  bool saturate = false;  // see NonFinitePolicy; otherwise non-finite values are counted, and the
                          // outputs of their groups are unspecified
  bool stochastic = false;
  std::uint64_t random_key = 0;
};

// The input of a tile: rows x cols elements, rows row_stride_bytes apart, columns contiguous, any
// alignment.
struct InputTile {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::ptrdiff_t row_stride_bytes = 0;
  std::uint64_t first_index = 0;  // flat index of the first element in the layer
  std::uint64_t layer_cols = 0;   // so that the row below starts at first_index + layer_cols
};

// What a tile has of a part: its first byte, and the bytes from one row to the next, 0 where the
// rows share one. Null: the format has no such part.
struct PartOutput {
  std::byte* data = nullptr;  // null also where another tile of the span writes it
  std::size_t row_stride = 0;
};
struct PartInput {
  const std::byte* data = nullptr;
  std::size_t row_stride = 0;
};

// group_size columns share a scale (the last group of the tile may be shorter); group_size >= cols
// for a row, a tensor, a piece of a group, or where there are no scales. Rows without columns still
// have one group each, all zero.
struct EncodeTile {
  InputTile input;
  std::size_t group_size = 1;
  CodeRule rule;
  // The range of the span that this tile is a piece of, found by an earlier pass. Null: the tile
  // holds whole groups, and the kernel finds their ranges.
  const Range* range = nullptr;
  PerRole<PartOutput> parts;
  // Write codes past the caches, where they lie on the borders of vectors: otherwise each line of
  // them is read before it is written. For jobs too large to leave them in the caches.
  bool stream_codes = false;
  // Fetch what lies behind the values that are read: those of the next tile, or their neighbours.
  bool fetch_ahead = true;
};

struct DecodeTile {
  PerRole<PartInput> parts;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t group_size = 1;
  CodeRule rule;
  void* output = nullptr;     // any alignment
  DType dtype = DType::kF32;  // f32, f16 or bf16
  std::size_t output_row_bytes = 0;
};

// One format on one target.
struct FormatKernels {
  std::string_view target_name;  // the target that these functions were compiled for
  // From values to the parts of a tile: ranges where the tile brings none, scales, codes.
  void (*encode)(const EncodeTile& tile, TileReport& report) noexcept;
  // Back to values.
  void (*decode)(const DecodeTile& tile) noexcept;
};

// Sums over pairs of an original and its restored value, the i-th pair in lane i % 8: a fixed order
// of additions, whatever the vectors. Non-finite originals are left out.
struct ErrorLanes {
  static constexpr std::size_t kCount = 8;
  using Lanes = double[kCount];
  alignas(64) Lanes max_abs = {};
  alignas(64) Lanes squared_error = {};
  alignas(64) Lanes squared_original = {};
  alignas(64) Lanes squared_restored = {};
  alignas(64) Lanes product = {};
  alignas(64) Lanes count = {};
};

// Kernels that do not depend on the format, on one target.
struct SharedKernels {
  std::string_view target_name;  // the target that these functions were compiled for
  // The range of all elements of a tile; non-finite ones are counted and left out of the range.
  void (*range)(const InputTile& tile, Range& range, TileReport& report) noexcept;
  // x to f32, as the quantizers read it: `count` contiguous elements.
  void (*to_f32)(const std::byte* data, DType dtype, std::size_t count, float* values) noexcept;
  // f32 to f32, f16 or bf16, to nearest even: `count` contiguous elements of any alignment.
  void (*from_f32)(const float* values, std::size_t count, DType dtype, std::byte* data) noexcept;
  // Adds `count` pairs, the first one in lane 0.
  void (*add_errors)(const float* originals, const float* restored, std::size_t count,
                     ErrorLanes& lanes) noexcept;
};

const SharedKernels& shared_kernels(Target target) noexcept;

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// The kernels on one thread, called tile by tile as the engine calls them. Loaded with ctypes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/affine.h"
#include "kernels/int8_rowwise.h"
#include "quarrow/quantize/plan.h"

namespace {

using quarrow::CodeRule;
using quarrow::DType;
using quarrow::Role;
using quarrow::Target;

constexpr std::size_t kCols = 4096;

struct Format {
  const char* name;
  const quarrow::FormatKernels& (*kernels)(Target target) noexcept;
  CodeRule rule;
  std::size_t group_size;
};

constexpr CodeRule kInt4{.bits = 4, .packed = true};
constexpr CodeRule kInt4Symmetric{.bits = 4, .symmetric = true, .packed = true};
const Format kFormats[] = {
    {"int4_g128", quarrow::affine_kernels, kInt4, 128},
    {"int4_g32", quarrow::affine_kernels, kInt4, 32},
    {"int4_g128_symmetric", quarrow::affine_kernels, kInt4Symmetric, 128},
    {"int2_g128", quarrow::affine_kernels, {.bits = 2, .packed = true}, 128},
    {"int8_row", quarrow::affine_kernels, {.bits = 8}, kCols},
    {"int8_rowwise", quarrow::int8_rowwise_kernels, {.bits = 8, .symmetric = true}, kCols},
};
constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kF64};

}  // namespace

// Names with a blank behind each; of targets those of this machine, the best first.
extern "C" const char* quarrow_kernels_formats() {
  static std::string names;
  if (names.empty()) {
    for (const Format& format : kFormats) names.append(format.name) += ' ';
  }
  return names.c_str();
}

extern "C" const char* quarrow_kernels_targets() {
  static std::string names;
  if (names.empty()) {
    for (const Target target : quarrow::runnable_targets()) names.append(name_of(target)) += ' ';
  }
  return names.c_str();
}

// Quantizes rows of kCols values; a format and a target by their places in the lists, a type by
// that in kTypes. False: the kernels are those of another target.
extern "C" bool quarrow_kernels_quantize(std::size_t which, std::size_t where, std::size_t type,
                                         const std::byte* data, std::size_t rows,
                                         std::uint8_t* codes, float* scales,
                                         std::uint8_t* zero_points) {
  const Format& format = kFormats[which];
  const Target target = quarrow::runnable_targets()[where];
  const quarrow::FormatKernels& kernels = format.kernels(target);
  const std::size_t row_bytes = kCols * size_of(kTypes[type]);
  const std::size_t rows_per_tile = quarrow::kTileBytes / row_bytes;
  const std::size_t groups = kCols / format.group_size;
  const auto bits = static_cast<std::size_t>(format.rule.bits);
  const std::size_t code_row = format.rule.packed ? kCols * bits / 8 : kCols;
  for (std::size_t row = 0; row < rows; row += rows_per_tile) {
    quarrow::TileReport report;
    quarrow::EncodeTile tile;
    tile.input = {.data = data + row * row_bytes,
                  .dtype = kTypes[type],
                  .rows = std::min(rows_per_tile, rows - row),
                  .cols = kCols,
                  .row_stride_bytes = static_cast<std::ptrdiff_t>(row_bytes),
                  .first_index = row * kCols,
                  .layer_cols = kCols};
    tile.group_size = format.group_size;
    tile.rule = format.rule;
    const auto place = [&tile](Role role, auto* first, std::size_t row_stride) {
      tile.parts[role] = {reinterpret_cast<std::byte*>(first), row_stride};
    };
    place(Role::kCodes, codes + row * code_row, code_row);
    place(Role::kScales, scales + row * groups, groups * sizeof(float));
    if (!format.rule.symmetric) place(Role::kZeroPoints, zero_points + row * groups, groups);
    kernels.encode(tile, report);
  }
  return kernels.target_name == name_of(target);
}

// SPDX-License-Identifier: Apache-2.0
#include "quantize/encodings.h"

#include <algorithm>

#include "core/checked_math.h"
#include "quarrow/core/status.h"

namespace quarrow {
namespace {

PartSpec codes_of(const Format& format, std::uint64_t rows, std::uint64_t cols) {
  const auto bits = static_cast<std::uint64_t>(format.spec->bits);
  const bool packed = format.packed && bits < 8;
  const std::uint64_t in_a_byte = packed ? 8 / bits : 1;
  return {.role = Role::kCodes,
          .type = format.symmetric && !packed ? ElementType::kI8 : ElementType::kU8,
          .rows = rows,
          .row_bytes = divide_up(cols, in_a_byte),
          .step_cols = in_a_byte};
}

// An element for each group.
PartSpec of_groups(Role role, ElementType type, const PartSpec& groups) {
  const std::uint32_t bytes = block_of(type).bytes;
  const auto row_bytes = checked_product(groups.row_bytes, bytes);
  if (!row_bytes || !checked_product(groups.rows, *row_bytes)) {
    throw StatusError(Status{.code = StatusCode::kSizeOverflow});
  }
  return {role, type, bytes, groups.rows, *row_bytes, groups.step_cols};
}

// Codes that are elements of a type, in whole blocks.
PartSpec blocks_of(ElementType type, std::uint64_t rows, std::uint64_t cols) {
  const ElementBlock block = block_of(type);
  const auto row_bytes = checked_product(cols / block.elements, block.bytes);
  if (!row_bytes || !checked_product(rows, *row_bytes)) {
    throw StatusError(Status{.code = StatusCode::kSizeOverflow});
  }
  return {.role = Role::kCodes,
          .type = type,
          .step_bytes = block.bytes,
          .rows = rows,
          .row_bytes = *row_bytes,
          .step_cols = block.elements};
}

}  // namespace

Encoding grouped_encoding(const Format& format, std::uint64_t rows, std::uint64_t cols) {
  Encoding encoding;
  encoding.add(codes_of(format, rows, cols));
  encoding.block_cols = std::max<std::uint64_t>(cols, 1);
  encoding.needs_width = !format.symmetric;
  PartSpec groups{.rows = rows, .row_bytes = 1, .step_cols = 0};  // a byte each
  switch (format.group_size.kind) {
    case GroupSize::Kind::kColumns:
      encoding.range_span = RangeSpan::kGroup;
      encoding.block_cols = std::clamp<std::uint64_t>(cols, 1, format.group_size.columns);
      groups.row_bytes = divide_up(cols, format.group_size.columns);
      groups.step_cols = encoding.block_cols;
      break;
    case GroupSize::Kind::kRow:
      encoding.range_span = RangeSpan::kRow;
      break;
    case GroupSize::Kind::kTensor:
      encoding.range_span = RangeSpan::kTensor;
      groups.rows = 1;
      break;
  }
  encoding.add(of_groups(Role::kScales, ElementType::kF32, groups));
  if (!format.symmetric) encoding.add(of_groups(Role::kZeroPoints, ElementType::kU8, groups));
  return encoding;
}

Encoding elementwise_encoding(ElementType type, bool tensor_scale, std::uint64_t rows,
                              std::uint64_t cols) {
  Encoding encoding;
  encoding.block_cols = std::max<std::uint64_t>(cols, 1);
  encoding.range_span = tensor_scale ? RangeSpan::kTensor : RangeSpan::kNone;
  encoding.add(blocks_of(type, rows, cols));
  if (tensor_scale) {
    encoding.add({.role = Role::kTensorScale,
                  .type = ElementType::kF32,
                  .step_bytes = sizeof(float),
                  .rows = 1,
                  .row_bytes = sizeof(float),
                  .step_cols = 0});
  }
  return encoding;
}

Encoding block_encoding(ElementType type, std::uint64_t rows, std::uint64_t cols) {
  const std::uint64_t elements = block_of(type).elements;
  if (cols % elements != 0) {
    throw StatusError(Status{.code = StatusCode::kPartialBlock, .count = elements});
  }
  Encoding encoding;
  encoding.block_cols = elements;
  encoding.range_span = RangeSpan::kNone;
  encoding.add(blocks_of(type, rows, cols));
  return encoding;
}

}  // namespace quarrow

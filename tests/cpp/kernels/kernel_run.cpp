// SPDX-License-Identifier: Apache-2.0
#include "kernel_run.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "guarded_buffer.h"

namespace quarrow {
namespace {

constexpr std::uint8_t kCanary = 0xA5;
constexpr std::size_t kCodeRowGap = 3;
constexpr std::size_t kVectorBytes = 64;  // of the widest target

template <typename Pattern>
void append(std::vector<std::uint8_t>& bytes, Pattern pattern) {
  const std::size_t at = bytes.size();
  bytes.resize(at + sizeof pattern);
  std::memcpy(bytes.data() + at, &pattern, sizeof pattern);
}

void append_value(std::vector<std::uint8_t>& bytes, DType dtype, double value) {
  switch (dtype) {
    case DType::kF32:
      return append(bytes, static_cast<float>(value));
    case DType::kF16:
      return append(bytes, reference::nearest_f16(value));
    case DType::kBF16:
      return append(bytes, reference::nearest_bf16(value));
    case DType::kF64:
      return append(bytes, value);
  }
}

// The job's input as it lies in memory: gaps and surroundings are NaN in every dtype.
class PlacedInput {
 public:
  PlacedInput(const reference::Job& job, const InputLayout& layout)
      : stride_(job.cols * size_of(layout.dtype) + layout.row_padding),
        buffer_(job.rows == 0 ? 0 : job.rows * stride_ - layout.row_padding, layout.slack, 0xFF) {
    tile_ = {.dtype = layout.dtype,
             .rows = job.rows,
             .cols = job.cols,
             .row_stride_bytes = static_cast<std::ptrdiff_t>(stride_),
             .first_index = job.first_index,
             .layer_cols = job.layer_cols};
    std::uint8_t* first = buffer_.data();
    if (layout.reversed && job.rows != 0) {
      first += (job.rows - 1) * stride_;
      tile_.row_stride_bytes = -tile_.row_stride_bytes;
    }
    tile_.data = reinterpret_cast<const std::byte*>(first);
    for (std::size_t row = 0; row < job.rows; ++row) {
      std::vector<std::uint8_t> bytes;
      for (std::size_t col = 0; col < job.cols; ++col) {
        append_value(bytes, layout.dtype, job.values[row * job.cols + col]);
      }
      if (bytes.empty()) continue;
      std::memcpy(first + static_cast<std::ptrdiff_t>(row) * tile_.row_stride_bytes, bytes.data(),
                  bytes.size());
    }
  }
  const InputTile& tile() const { return tile_; }

 private:
  std::size_t stride_;
  GuardedBuffer buffer_;
  InputTile tile_;
};

// Where the codes of a job go: `bytes` bytes that end at a page which cannot be touched, rows
// `stride` bytes apart.
struct CodesLayout {
  std::size_t bytes = 0;
  std::size_t stride = 0;
  bool stream = false;
};

reference::Result run_quantize_into(const FormatKernels& kernels, const reference::Job& job,
                                    const InputTile& input, const CodesLayout& layout) {
  const std::size_t row_bytes = job.code_row_bytes();
  const bool is_scaled = job.block_bytes == 0 && (job.scales == Role::kScales || job.rule.scaled);
  const std::size_t scale_count = is_scaled ? job.scale_rows() * job.groups() : 0;
  GuardedBuffer codes(layout.bytes, 0, kCanary);
  GuardedBuffer scales(scale_count * sizeof(float), 0, kCanary);
  GuardedBuffer zero_points(scale_count, 0, kCanary);
  EncodeTile tile{.input = input,
                  .group_size = job.group_size,
                  .rule = job.rule,
                  .range = job.range ? &*job.range : nullptr,
                  .parts = {},
                  .stream_codes = layout.stream};
  tile.parts[Role::kCodes] = {reinterpret_cast<std::byte*>(codes.data()), layout.stride};
  if (is_scaled) {
    tile.parts[job.scales] = {reinterpret_cast<std::byte*>(scales.data()),
                              job.scales == Role::kTensorScale ? 0 : job.groups() * sizeof(float)};
  }
  if (!job.rule.symmetric) {
    tile.parts[Role::kZeroPoints] = {reinterpret_cast<std::byte*>(zero_points.data()),
                                     job.groups()};
  }
  reference::Result result;
  kernels.encode(tile, result.report);
  EXPECT_TRUE(codes.surroundings_untouched());
  EXPECT_TRUE(scales.surroundings_untouched());
  EXPECT_TRUE(zero_points.surroundings_untouched());
  for (std::size_t row = 0; row < job.rows; ++row) {
    const std::uint8_t* begin = codes.data() + row * layout.stride;
    const std::uint8_t* end = codes.data() + std::min(layout.bytes, (row + 1) * layout.stride);
    result.codes.insert(result.codes.end(), begin, begin + row_bytes);
    EXPECT_TRUE(
        std::all_of(begin + row_bytes, end, [](std::uint8_t byte) { return byte == kCanary; }));
  }
  result.scales.resize(scale_count);
  if (scale_count != 0) std::memcpy(result.scales.data(), scales.data(), scales.size());
  result.zero_points.assign(zero_points.data(), zero_points.data() + scale_count);
  return result;
}

}  // namespace

std::vector<double> stored_values(DType dtype, std::vector<double> values) {
  for (double& value : values) {
    if (dtype == DType::kF32) value = static_cast<double>(static_cast<float>(value));
    if (dtype == DType::kF16) value = reference::f16_value(reference::nearest_f16(value));
    if (dtype == DType::kBF16) value = reference::bf16_value(reference::nearest_bf16(value));
  }
  return values;
}

reference::Result run_quantize(const FormatKernels& kernels, const reference::Job& job,
                               const InputLayout& layout) {
  const PlacedInput input(job, layout);
  const std::size_t row_bytes = job.code_row_bytes();
  // One byte behind the last code is a fault; then, streamed, every row starts on a vector; then
  // rows follow each other without a gap.
  const std::size_t odd = row_bytes + kCodeRowGap;
  const std::size_t even = (row_bytes + kVectorBytes - 1) / kVectorBytes * kVectorBytes;
  const std::size_t exact = job.rows == 0 ? 0 : job.rows * odd - kCodeRowGap;
  const auto stored = run_quantize_into(kernels, job, input.tile(), {exact, odd, false});
  const auto streamed =
      run_quantize_into(kernels, job, input.tile(), {job.rows * even, even, true});
  const auto tight =
      run_quantize_into(kernels, job, input.tile(), {job.rows * row_bytes, row_bytes, false});
  for (const reference::Result& other : {streamed, tight}) expect_same(other, stored, job);
  return stored;
}

std::vector<std::uint8_t> run_dequantize(const FormatKernels& kernels, const reference::Job& job,
                                         const reference::Result& stored, DType dtype) {
  const std::size_t row_bytes = job.cols * size_of(dtype);
  const std::size_t stride = row_bytes + kCodeRowGap;  // rows start at odd addresses
  GuardedBuffer codes(stored.codes.size(), 0, kCanary);
  std::copy(stored.codes.begin(), stored.codes.end(), codes.data());
  GuardedBuffer output(job.rows == 0 ? 0 : job.rows * stride - kCodeRowGap, 1, kCanary);
  DecodeTile tile{.parts = {},
                  .rows = job.rows,
                  .cols = job.cols,
                  .group_size = job.group_size,
                  .rule = job.rule,
                  .output = output.data(),
                  .dtype = dtype,
                  .output_row_bytes = stride};
  const auto bytes_of = [](auto& values) {
    return reinterpret_cast<const std::byte*>(values.data());
  };
  tile.parts[Role::kCodes] = {bytes_of(codes), job.code_row_bytes()};
  if (!stored.scales.empty()) {
    tile.parts[job.scales] = {bytes_of(stored.scales), job.groups() * sizeof(float)};
  }
  if (!job.rule.symmetric) {
    tile.parts[Role::kZeroPoints] = {bytes_of(stored.zero_points), job.groups()};
  }
  kernels.decode(tile);
  EXPECT_TRUE(output.surroundings_untouched());
  std::vector<std::uint8_t> bytes;
  for (std::size_t row = 0; row < job.rows; ++row) {
    const std::uint8_t* begin = output.data() + row * stride;
    bytes.insert(bytes.end(), begin, begin + row_bytes);
    if (row + 1 == job.rows) continue;
    EXPECT_TRUE(std::all_of(begin + row_bytes, begin + stride,
                            [](std::uint8_t byte) { return byte == kCanary; }));
  }
  return bytes;
}

RangeResult run_range(Target target, const reference::Job& job, const InputLayout& layout) {
  const PlacedInput input(job, layout);
  RangeResult result;
  shared_kernels(target).range(input.tile(), result.range, result.report);
  return result;
}

bool operator==(const TileReport& a, const TileReport& b) {
  const bool same_non_finite =
      a.non_finite == b.non_finite &&
      (a.non_finite == 0 || (a.first_non_finite == b.first_non_finite && a.kind == b.kind));
  const bool same_beyond = a.beyond_f32 == b.beyond_f32 &&
                           (a.beyond_f32 == 0 || (a.first_beyond_f32 == b.first_beyond_f32 &&
                                                  a.value_beyond_f32 == b.value_beyond_f32));
  return same_non_finite && same_beyond && a.range_overflow == b.range_overflow &&
         (!a.range_overflow || a.first_overflow == b.first_overflow);
}

std::ostream& operator<<(std::ostream& stream, const TileReport& report) {
  return stream << report.non_finite << " non-finite, first at " << report.first_non_finite
                << ", kind " << static_cast<int>(report.kind) << "; " << report.beyond_f32
                << " beyond f32, first " << report.value_beyond_f32 << " at "
                << report.first_beyond_f32 << "; overflow " << report.range_overflow << " at "
                << report.first_overflow;
}

std::string describe(const reference::Job& job, const InputLayout& layout) {
  return std::string(name_of(layout.dtype)) + " " + std::to_string(job.rows) + " x " +
         std::to_string(job.cols) + ", group " + std::to_string(job.group_size) + ", bits " +
         std::to_string(job.rule.bits) + (job.rule.symmetric ? " symmetric" : "") +
         (job.rule.packed ? " packed" : "") + (job.rule.stochastic ? " stochastic" : "") +
         ", scales " + std::string(name_of(job.rule.scale_dtype)) + ", slack " +
         std::to_string(layout.slack) + ", padding " + std::to_string(layout.row_padding);
}

void expect_same(const reference::Result& actual, const reference::Result& expected,
                 const reference::Job& job) {
  EXPECT_EQ(actual.report, expected.report);
  ASSERT_EQ(actual.scales.size(), expected.scales.size());
  if (!actual.scales.empty()) {
    EXPECT_EQ(std::memcmp(actual.scales.data(), expected.scales.data(),
                          actual.scales.size() * sizeof(float)),
              0);
  }
  if (!job.rule.symmetric) {
    EXPECT_EQ(actual.zero_points, expected.zero_points);
  }
  EXPECT_EQ(actual.codes, expected.codes);
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// Kernels on one thread, called tile by tile as the engine calls them, beside a copy of the same
// input by one thread and by two.
//
// Sizes are those of the f32 input (4, 40, 400 MB); other dtypes have as many elements, so that
// items per second compare dtypes, and bytes per second compare with the copy of the same dtype.
// Every format and target quantizes 4 MB of f32; other sizes and dtypes are for the best target,
// which is called that, so that names are the same on every machine.
// Names: <format>-<target>-<dtype>-<MB>mb and copy-<dtype>-<MB>mb[-2threads].
// Before the first iteration the result is compared with that of the slowest target.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/affine.h"
#include "kernels/int8_rowwise.h"
#include "quarrow/core/executor.h"
#include "quarrow/quantize/plan.h"

namespace {

using quarrow::CodeRule;
using quarrow::DType;
using quarrow::FormatKernels;
using quarrow::Target;

constexpr std::size_t kCols = 4096;

struct BenchmarkFormat {
  const char* name;
  const FormatKernels& (*kernels)(Target target) noexcept;
  CodeRule rule;
  std::size_t group_size;
};

const BenchmarkFormat kFormats[] = {
    {"int4_g128", quarrow::affine_kernels, {.bits = 4, .packed = true}, 128},
    {"int4_g32", quarrow::affine_kernels, {.bits = 4, .packed = true}, 32},
    {"int4_g128_symmetric",
     quarrow::affine_kernels,
     {.bits = 4, .symmetric = true, .packed = true},
     128},
    {"int2_g128", quarrow::affine_kernels, {.bits = 2, .packed = true}, 128},
    {"int8_row", quarrow::affine_kernels, {.bits = 8}, kCols},
    {"int8_rowwise", quarrow::int8_rowwise_kernels, {.bits = 8, .symmetric = true}, kCols},
};

// A matrix of kCols columns and everything that quantizing it writes.
class Matrix {
 public:
  Matrix(DType dtype, std::size_t megabytes)
      : dtype_(dtype),
        rows_(megabytes * 1000 * 1000 / (kCols * sizeof(float))),
        data_(rows_ * row_bytes()),
        codes_(rows_ * kCols),
        scales_(rows_ * kCols / 32),
        zero_points_(rows_ * kCols / 32) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0.0F, 0.02F);
    std::vector<std::byte> row(row_bytes());
    for (std::size_t col = 0; col < kCols; ++col) write(row.data(), col, normal(random));
    for (std::size_t r = 0; r < rows_; ++r) {
      // Rows differ, so that no branch is learnt.
      std::rotate(row.begin(), row.begin() + 8, row.end());
      std::memcpy(data_.data() + r * row_bytes(), row.data(), row.size());
    }
  }

  std::size_t elements() const { return rows_ * kCols; }
  std::size_t bytes() const { return data_.size(); }
  const std::byte* data() const { return data_.data(); }

  bool same_result(const Matrix& other) const {
    return codes_ == other.codes_ && scales_ == other.scales_ && zero_points_ == other.zero_points_;
  }

  void quantize(const BenchmarkFormat& format, Target target) {
    const std::size_t rows_per_tile = quarrow::kTileBytes / row_bytes();
    const std::size_t groups = kCols / format.group_size;
    const bool packed = format.rule.packed;
    const std::size_t code_row =
        packed ? kCols * static_cast<std::size_t>(format.rule.bits) / 8 : kCols;
    for (std::size_t row = 0; row < rows_; row += rows_per_tile) {
      quarrow::TileReport report;
      format.kernels(target).quantize(
          {.input = {.data = data_.data() + row * row_bytes(),
                     .dtype = dtype_,
                     .rows = std::min(rows_per_tile, rows_ - row),
                     .cols = kCols,
                     .row_stride_bytes = static_cast<std::ptrdiff_t>(row_bytes()),
                     .first_index = row * kCols,
                     .layer_cols = kCols},
           .group_size = format.group_size,
           .rule = format.rule,
           .codes = codes_.data() + row * code_row,
           .codes_row_bytes = code_row,
           .scales = scales_.data() + row * groups,
           .zero_points = format.rule.symmetric ? nullptr : zero_points_.data() + row * groups,
           .scales_row_stride = groups},
          report);
      benchmark::DoNotOptimize(report);
    }
  }

 private:
  std::size_t row_bytes() const { return kCols * size_of(dtype_); }

  void write(std::byte* row, std::size_t col, float value) const {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    if (dtype_ == DType::kF32) std::memcpy(row + col * 4, &bits, 4);
    const auto bf16 = static_cast<std::uint16_t>(bits >> 16);
    if (dtype_ == DType::kBF16) std::memcpy(row + col * 2, &bf16, 2);
    // The f16 nearest below, for values that are normal in f16; others become zero.
    const std::uint32_t magnitude = bits & 0x7FFFFFFF;
    const std::uint32_t f16 =
        magnitude < 0x38800000 ? 0 : ((magnitude - 0x38000000) >> 13) | ((bits >> 16) & 0x8000);
    const auto f16_bits = static_cast<std::uint16_t>(f16);
    if (dtype_ == DType::kF16) std::memcpy(row + col * 2, &f16_bits, 2);
    const auto wide = static_cast<double>(value);
    if (dtype_ == DType::kF64) std::memcpy(row + col * 8, &wide, 8);
  }

  DType dtype_;
  std::size_t rows_;
  std::vector<std::byte> data_;
  std::vector<std::uint8_t> codes_;
  std::vector<float> scales_;
  std::vector<std::uint8_t> zero_points_;
};

// Made once: with random interleaving every size is needed again and again.
Matrix& matrix(DType dtype, std::size_t megabytes) {
  static std::map<std::pair<DType, std::size_t>, Matrix> made;
  return made.try_emplace({dtype, megabytes}, dtype, megabytes).first->second;
}

// The slowest target is the plainest code: it is what the others are compared with.
bool is_verified(const BenchmarkFormat& format, Target target, DType dtype) {
  Matrix measured(dtype, 1);
  Matrix expected(dtype, 1);
  measured.quantize(format, target);
  expected.quantize(format, quarrow::runnable_targets().back());
  return measured.same_result(expected);
}

void count(benchmark::State& state, const Matrix& input) {
  const auto iterations = static_cast<std::int64_t>(state.iterations());
  state.SetBytesProcessed(iterations * static_cast<std::int64_t>(input.bytes()));
  state.SetItemsProcessed(iterations * static_cast<std::int64_t>(input.elements()));
}

void quantize(benchmark::State& state, const BenchmarkFormat& format, Target target, DType dtype,
              std::size_t megabytes) {
  if (format.kernels(target).target_name != name_of(target)) {
    state.SkipWithError("another target than the one asked for");
    return;
  }
  if (!is_verified(format, target, dtype)) {
    state.SkipWithError("the result differs from that of the slowest target");
    return;
  }
  Matrix& input = matrix(dtype, megabytes);
  input.quantize(format, target);
  for (auto _ : state) {
    input.quantize(format, target);
    benchmark::ClobberMemory();
  }
  count(state, input);
}

void copy(benchmark::State& state, DType dtype, std::size_t megabytes, std::size_t threads) {
  const Matrix& input = matrix(dtype, megabytes);
  std::vector<std::byte> output(input.bytes());
  const std::size_t part = (input.bytes() + threads - 1) / threads;
  quarrow::Executor& executor = quarrow::default_executor();
  for (auto _ : state) {
    executor.run(
        threads, threads,
        [&](std::size_t index, std::size_t) {
          const std::size_t start = std::min(index * part, input.bytes());
          std::memcpy(output.data() + start, input.data() + start,
                      std::min(part, input.bytes() - start));
        },
        nullptr);
    benchmark::ClobberMemory();
  }
  if (!std::equal(output.begin(), output.end(), input.data())) {
    state.SkipWithError("the copy differs from its source");
  }
  count(state, input);
}

template <typename... Arguments>
auto* add(const std::string& what, DType dtype, std::size_t megabytes, const std::string& ending,
          Arguments... arguments) {
  const std::string name = what + "-" + std::string(quarrow::name_of(dtype)) + "-" +
                           std::to_string(megabytes) + "mb" + ending;
  return benchmark::RegisterBenchmark(name.c_str(), arguments...)->Unit(benchmark::kMillisecond);
}

void add_copy(DType dtype, std::size_t megabytes, std::size_t threads) {
  add("copy", dtype, megabytes, threads == 2 ? "-2threads" : "", copy, dtype, megabytes, threads)
      ->MeasureProcessCPUTime()
      ->UseRealTime();
}

void add_format(const BenchmarkFormat& format, Target target, std::string isa, DType dtype,
                std::size_t megabytes) {
  for (char& c : isa) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  add(format.name + ("-" + isa), dtype, megabytes, "", quantize, format, target, dtype, megabytes);
}

void add_all() {
  const auto targets = quarrow::runnable_targets();
  for (const std::size_t megabytes : {4U, 40U, 400U}) {
    for (const std::size_t threads : {1U, 2U}) add_copy(DType::kF32, megabytes, threads);
  }
  for (const DType dtype : {DType::kF16, DType::kBF16, DType::kF64}) add_copy(dtype, 40, 1);
  for (const BenchmarkFormat& format : kFormats) {
    for (const Target target : targets) {
      add_format(format, target, std::string(quarrow::name_of(target)), DType::kF32, 4);
    }
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kF64}) {
      add_format(format, targets.front(), "best", dtype, 40);
    }
    add_format(format, targets.front(), "best", DType::kF32, 400);
  }
}

}  // namespace

int main(int argc, char** argv) {
  add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

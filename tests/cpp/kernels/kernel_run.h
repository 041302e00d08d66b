// SPDX-License-Identifier: Apache-2.0
//
// Runs kernels of one target on a reference job, in guarded memory.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "kernels/format_kernels.h"
#include "quarrow/core/target.h"
#include "reference.h"

namespace quarrow {

// How the input lies in memory.
struct InputLayout {
  DType dtype = DType::kF32;
  std::size_t slack = 0;        // bytes between the end and a page that cannot be read
  std::size_t row_padding = 0;  // bytes of NaN between rows
  bool reversed = false;        // rows from the last to the first: a negative stride
};

// The values that remain when `values` are stored as dtype: what the kernel will see.
std::vector<double> stored_values(DType dtype, std::vector<double> values);

// Runs the kernel and fails the test where it touches memory that is not its own.
reference::Result run_quantize(const FormatKernels& kernels, const reference::Job& job,
                               const InputLayout& layout);

// The bytes of the output: f32, f16 or bf16.
std::vector<std::uint8_t> run_dequantize(const FormatKernels& kernels, const reference::Job& job,
                                         const reference::Result& stored, DType dtype);

// The range kernel over the whole job.
struct RangeResult {
  Range range;
  TileReport report;
};
RangeResult run_range(Target target, const reference::Job& job, const InputLayout& layout);

bool operator==(const TileReport& a, const TileReport& b);
std::ostream& operator<<(std::ostream& stream, const TileReport& report);
std::string describe(const reference::Job& job, const InputLayout& layout);

// Compares codes, scales (bit by bit), zero points (of asymmetric rules) and reports.
void expect_same(const reference::Result& actual, const reference::Result& expected,
                 const reference::Job& job);

// A test that runs once for each target of this machine.
class EachTarget : public testing::TestWithParam<Target> {
 protected:
  Target target() const { return GetParam(); }
};

inline std::string target_test_name(const testing::TestParamInfo<Target>& info) {
  return std::string(name_of(info.param));
}

}  // namespace quarrow

#define QUARROW_FOR_EACH_TARGET(suite) \
  INSTANTIATE_TEST_SUITE_P(Targets, suite, testing::ValuesIn(runnable_targets()), target_test_name)

// SPDX-License-Identifier: Apache-2.0
//
// Tensors that stay, in another float dtype.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "containers/failing_calls.h"
#include "containers/test_files.h"
#include "pipeline/test_callers.h"
#include "pipeline/test_checkpoint.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

template <typename Value>
std::string bytes_of(const std::vector<Value>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Value)};
}

class Convert : public ::testing::Test {
 protected:
  void write(ElementType dtype, const std::string& data) {
    TestCheckpoint checkpoint;
    const auto elements = static_cast<std::int64_t>(data.size() / block_of(dtype).bytes);
    checkpoint.add("bias", dtype, {elements}, data);
    folder_.write("in", checkpoint.bytes());
  }
  FileJobResult run(DType dtype) {
    const Checkpoint source = open_checkpoint(folder_ / "in", Io::kRead);
    const Format format = default_format(*find_format("int8_rowwise"));
    FilePlan plan = plan_quantized(source, stored_layers_of(source), {&format, 1}, {},
                                   {.dtype = dtype, .max_shard_bytes = 0});
    return run_file_job(source, plan, folder_ / "out", options_, context_);
  }
  // The element that has no place in the new dtype.
  std::optional<std::uint64_t> overflow(DType dtype) {
    try {
      EXPECT_TRUE(run(dtype).finished);
    } catch (const LayerFault& fault) {
      EXPECT_EQ(fault.status.code, StatusCode::kValueOverflow);
      return fault.status.position;
    }
    return std::nullopt;
  }

  TestFolder folder_;
  FileJobOptions options_{.sync = false};
  Context context_ = {
      .executor = &default_executor(), .target = *default_target(), .threads = 1, .poll = nullptr};
};

TEST_F(Convert, OnlyFiniteValuesCanBeTooLarge) {
  write(ElementType::kF64, bytes_of<double>({1.0, kInf, -kInf, kNan, 3.0e38}));
  EXPECT_EQ(overflow(DType::kF32), std::nullopt);
  EXPECT_EQ(overflow(DType::kBF16), std::nullopt);
  EXPECT_EQ(overflow(DType::kF16), 4U);
  write(ElementType::kF64, bytes_of<double>({1.0, kInf, -1.0e39}));
  EXPECT_EQ(overflow(DType::kF32), 2U);
  constexpr float kLargest = std::numeric_limits<float>::max();
  write(ElementType::kF32,
        bytes_of<float>({static_cast<float>(kNan), static_cast<float>(kInf), kLargest}));
  EXPECT_EQ(overflow(DType::kBF16), 2U);
  // Inf and NaN of both narrow types.
  write(ElementType::kF16, bytes_of<std::uint16_t>({0x7C00, 0x7E00, 0x7BFF}));
  EXPECT_EQ(overflow(DType::kBF16), std::nullopt);
  write(ElementType::kBF16, bytes_of<std::uint16_t>({0x7F80, 0x7FC0, 0x4780}));
  EXPECT_EQ(overflow(DType::kF16), 2U) << "65536";
}

TEST_F(Convert, TheFirstOfSeveralTilesIsTold) {
  std::vector<float> values(150'000, 1.0F);
  values[140'000] = values[66'000] = values[66'001] = 1.0e6F;
  write(ElementType::kF32, bytes_of(values));
  EXPECT_EQ(overflow(DType::kF16), 66'000U);
  options_.skip_faults = true;
  const FileJobResult result = run(DType::kF16);
  EXPECT_FALSE(result.finished);
  ASSERT_EQ(result.faults.size(), 1U);
  EXPECT_EQ(result.faults[0].status.position, 66'000U);
}

TEST_F(Convert, ATensorThatIsSoundWhenItIsReadAgainHasChanged) {
  const std::vector<float> sound(3, 1.0F);
  for (const bool skip : {false, true}) {
    options_.skip_faults = skip;
    write(ElementType::kF32, bytes_of<float>({1.0F, 1.0e6F, 1.0F}));
    const Checkpoint source = open_checkpoint(folder_ / "in", Io::kRead);
    const Format format = default_format(*find_format("int8_rowwise"));
    FilePlan plan = plan_quantized(source, stored_layers_of(source), {&format, 1}, {},
                                   {.dtype = DType::kF16, .max_shard_bytes = 0});
    // Read once, and a second time to see what is wrong with it.
    const BeforeCall mended(Call::kRead, 2, [&] { write(ElementType::kF32, bytes_of(sound)); });
    try {
      run_file_job(source, plan, folder_ / "out", options_, context_);
      FAIL() << "it went on";
    } catch (const CheckpointFault& fault) {
      EXPECT_EQ(fault.rule, FileRule::kChanged);
    }
    EXPECT_EQ(folder_.names(), std::vector<std::string>{"in"});
  }
}

}  // namespace
}  // namespace quarrow

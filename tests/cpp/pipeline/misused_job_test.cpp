// SPDX-License-Identifier: Apache-2.0
//
// Plans and jobs of files that make no sense: each is told, and no file is written.
#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>
#include <vector>

#include "pipeline/test_file_job.h"

namespace quarrow {
namespace {

class MisusedFileJob : public RunFileJob {
 protected:
  MisusedFileJob() {
    TestCheckpoint checkpoint;
    checkpoint.add_random("a.weight", ElementType::kF32, {64, 64});
    checkpoint.add_random("b.weight", ElementType::kF32, {64, 64});
    source_ = write_source(checkpoint);
  }
  ~MisusedFileJob() override { EXPECT_FALSE(std::filesystem::exists(destination())); }

  StatusCode planned(const Format& format, const FilePlanOptions& options = {}) {
    try {
      plan_quantized(source_, stored_layers_of(source_), {&format, 1}, {}, options);
    } catch (const StatusError& error) {
      return error.status().code;
    }
    return StatusCode::kOk;
  }

  StatusCode ran() {
    try {
      run(source_);
    } catch (const StatusError& error) {
      return error.status().code;
    }
    return StatusCode::kOk;
  }

  Checkpoint source_;
};

TEST_F(MisusedFileJob, FormatsAndDTypesAreRefusedByThePlan) {
  EXPECT_EQ(planned(int8_rowwise()), StatusCode::kOk);
  EXPECT_EQ(planned(Format{}), StatusCode::kBadFormat);
  Format int4 = default_format(*find_format("int4"));
  int4.group_size = GroupSize::of(0);
  EXPECT_EQ(planned(int4), StatusCode::kBadFormat);
  for (const DType dtype : {DType::kF64, static_cast<DType>(9)}) {
    EXPECT_EQ(planned(int8_rowwise(), {.dtype = dtype}), StatusCode::kBadDType);
    EXPECT_THROW(plan_restored(source_, stored_layers_of(source_), {.dtype = dtype}), StatusError);
  }
}

TEST_F(MisusedFileJob, ChoicesOfNothingAreRefusedByThePlan) {
  const Format format = int8_rowwise();
  const auto plan = [&](std::vector<std::uint8_t> choices, std::size_t formats) {
    plan_quantized(source_, stored_layers_of(source_), {&format, formats}, choices, {});
  };
  EXPECT_NO_THROW(plan({0, kLeaveTensor}, 1));
  EXPECT_THROW(plan({0}, 1), std::invalid_argument);
  EXPECT_THROW(plan({0, 1}, 1), std::out_of_range);
  EXPECT_THROW(plan({}, 0), std::out_of_range);
}

TEST_F(MisusedFileJob, AContextOrAPolicyOfNoUse) {
  context_.executor = nullptr;
  EXPECT_EQ(ran(), StatusCode::kNoExecutor);
  context_ = {.target = {255}};
  EXPECT_EQ(ran(), StatusCode::kNoTarget);
  context_ = {};
  options_.policy = static_cast<NonFinitePolicy>(9);
  EXPECT_EQ(ran(), StatusCode::kBadPolicy);
}

TEST_F(MisusedFileJob, APlanForMemoryThatTakesNone) {
  FilePlanOptions in_memory;
  in_memory.in_memory = true;
  const std::vector<std::uint8_t> choices(2, kLeaveTensor);
  FilePlan plan = plan_quantized(source_, stored_layers_of(source_), {}, choices, in_memory);
  EXPECT_EQ(plan.outputs[0].memory_bytes, 0U);
  EXPECT_THROW(run_file_job(source_, plan, destination(), options_, context_),
               std::invalid_argument);
}

TEST_F(MisusedFileJob, APlanThatNobodyMade) {
  FilePlan plan;
  EXPECT_THROW(run_file_job(source_, plan, destination(), options_, context_), std::out_of_range);
}

TEST_F(MisusedFileJob, EncodedLayersThatAreMissing) {
  const std::vector<EncodedLayer> none(2);
  options_.encoded = none;
  EXPECT_EQ(ran(), StatusCode::kNullInput);
  options_.encoded = std::span(none).first(1);
  EXPECT_EQ(ran(), StatusCode::kWrongLayerCount);
}

using DefaultContext = RunFileJob;

TEST_F(DefaultContext, IsTakenByAFileJob) {
  TestCheckpoint checkpoint;
  checkpoint.add_random("a.weight", ElementType::kF32, {64, 64});
  context_ = {};
  EXPECT_TRUE(run(write_source(checkpoint)));
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// Jobs that are stopped, and sources that change between two reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>
#include <vector>

#include "containers/failing_calls.h"
#include "pipeline/test_callers.h"
#include "pipeline/test_file_job.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;

TEST_F(RunFileJob, StopsWhenThePollSaysSo) {
  const Checkpoint source = write_source(mixed_checkpoint());
  folder_.write("out.safetensors", "old");
  CountingPoll poll([] { return false; });
  context_.poll = &poll;
  EXPECT_FALSE(run(source));
  EXPECT_THAT(folder_.names(), ElementsAre("in.safetensors", "out.safetensors"));
  EXPECT_EQ(read_bytes(destination()), "old");
}

TEST_F(RunFileJob, APollThatSaidStopIsNotAskedAgain) {
  const Checkpoint source = write_source(mixed_checkpoint());
  int calls = 0;
  CountingPoll poll([&] {
    ++calls;
    return false;
  });
  UnluckyExecutor executor;
  context_ = make_context(2, executor);
  context_.poll = &poll;
  options_.sync = true;
  EXPECT_FALSE(run(source));
  EXPECT_EQ(calls, 1);
}

// Of several threads no two tests stop at the same place; of one the poll is asked after each pair
// of tiles, and while the file is brought to the disk.
TEST_F(RunFileJob, IsStoppedAtAnyPollAlsoOneOfThoseThatFollowAFailure) {
  UnluckyExecutor executor;
  context_ = make_context(2, executor);
  options_.sync = true;
  const auto with_nan = [](TestCheckpoint checkpoint) {
    checkpoint.set("a.weight", 1'000, std::nanf(""));
    checkpoint.set("b.weight", 1'000, std::nanf(""));
    return checkpoint;
  };
  // Rows that fit into a tile, and rows whose ranges are found in a pass of their own.
  for (const std::int64_t cols : {300, 90'000}) {
    TestCheckpoint sound;
    for (const char* name : {"a.weight", "b.weight"}) {
      sound.add_random(name, ElementType::kF32, {270'000 / cols, cols});
    }
    for (const bool fails : {false, true}) {
      const Checkpoint source = write_source(fails ? with_nan(sound) : sound);
      for (const bool skips : {false, true}) {
        options_.skip_faults = skips;
        int polls = 0;
        for (bool stopped = true; stopped; ++polls) {
          int left = polls;
          stopped = false;
          CountingPoll poll([&] {
            stopped = left-- == 0;
            return !stopped;
          });
          context_.poll = &poll;
          FilePlan plan = plan_of(source);
          FileJobResult result;
          bool thrown = false;
          try {
            result = run_file_job(source, plan, destination(), options_, context_);
          } catch (const LayerFault&) {
            thrown = true;
          }
          EXPECT_EQ(result.finished, !stopped && !fails) << polls;
          EXPECT_EQ(thrown, !stopped && fails && !skips) << polls;
          EXPECT_EQ(result.faults.size(), !stopped && fails && skips ? 2U : 0U) << polls;
          EXPECT_EQ(folder_.names().size(), result.finished ? 2U : 1U) << polls;
          ::unlink(destination().c_str());
        }
        EXPECT_GE(polls, 4);
      }
    }
  }
}

TEST_F(RunFileJob, IntoMemoryIsStoppedAndFailsAlike) {
  TestCheckpoint checkpoint;
  checkpoint.add_random("a.weight", ElementType::kF32, {4, 4});
  std::vector<std::byte> memory;
  const auto memory_plan = [&](const Checkpoint& source) {
    static const Format format = int8_rowwise();
    const std::vector<std::uint8_t> first(source.tensors.size(), 0);
    FilePlan plan = plan_quantized(source, stored_layers_of(source), {&format, 1}, first,
                                   {.dtype = {}, .in_memory = true});
    memory.assign(plan.outputs[0].memory_bytes, std::byte{0});
    return plan;
  };
  {
    const Checkpoint source = write_source(checkpoint);
    CountingPoll poll([] { return false; });
    context_.poll = &poll;
    FilePlan plan = memory_plan(source);
    EXPECT_FALSE(run_memory_job(source, plan, options_, context_, memory).finished);
    context_.poll = nullptr;
    EXPECT_TRUE(run_memory_job(source, plan, options_, context_, memory).finished);
    EXPECT_NE(memory, std::vector<std::byte>(memory.size()));
  }
  checkpoint.set("a.weight", 3, std::nanf(""));
  const Checkpoint source = write_source(checkpoint);
  FilePlan plan = memory_plan(source);
  options_.skip_faults = true;
  const FileJobResult result = run_memory_job(source, plan, options_, context_, memory);
  EXPECT_FALSE(result.finished);
  ASSERT_EQ(result.faults.size(), 1U);
  EXPECT_EQ(result.faults[0].status.position, 3U);
}

TEST_F(RunFileJob, IntoMemoryOfAnotherPlanIsRefused) {
  const Checkpoint source = write_source(mixed_checkpoint());
  FilePlan for_file = plan_of(source);
  EXPECT_THROW(run_memory_job(source, for_file, options_, context_, {}), std::invalid_argument);
  static const Format format = int8_rowwise();
  FilePlan for_memory = plan_quantized(source, stored_layers_of(source), {&format, 1}, {},
                                       {.dtype = {}, .in_memory = true});
  std::vector<std::byte> memory(for_memory.outputs[0].memory_bytes - 1);
  EXPECT_THROW(run_memory_job(source, for_memory, options_, context_, memory),
               std::invalid_argument);
  EXPECT_THROW(run_file_job(source, for_memory, destination(), options_, context_),
               std::invalid_argument);
  EXPECT_EQ(folder_.names().size(), 1U);
}

TEST_F(RunFileJob, MemoryIsOfWhatIsMadeAlone) {
  TestCheckpoint checkpoint;
  checkpoint.add_random("a.weight", ElementType::kF32, {4, 256});
  checkpoint.add_random("b.bias", ElementType::kF32, {100'000});
  const Checkpoint source = write_source(checkpoint);
  static const Format format = int8_rowwise();
  const FilePlan plan = plan_quantized(source, stored_layers_of(source), {&format, 1}, {},
                                       {.dtype = {}, .in_memory = true});
  EXPECT_GT(plan.outputs[0].file_bytes, 400'000U);
  EXPECT_LT(plan.outputs[0].memory_bytes, 2'000U);
}

TEST_F(RunFileJob, ALayerThatIsSoundWhenItIsReadAgainHasChanged) {
  TestCheckpoint checkpoint;
  checkpoint.add_random("a.weight", ElementType::kF32, {4, 4});
  const TestCheckpoint sound = checkpoint;
  checkpoint.set("a.weight", 0, std::nanf(""));
  for (const bool skips : {false, true}) {
    options_.skip_faults = skips;
    const Checkpoint source = write_source(checkpoint);
    const BeforeCall mended(Call::kRead, 2,
                            [&] { folder_.write("in.safetensors", sound.bytes()); });
    try {
      run(source);
      FAIL() << "it went on";
    } catch (const CheckpointFault& fault) {
      EXPECT_EQ(fault.rule, FileRule::kChanged);
    }
    EXPECT_THAT(folder_.names(), ElementsAre("in.safetensors"));
  }
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "quarrow/pipeline/file_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>

#include "containers/test_files.h"
#include "pipeline/test_callers.h"
#include "pipeline/test_file_job.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/safetensors.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(RunFileJob, WritesWhatTheEngineMakesInMemory) {
  const TestCheckpoint checkpoint = mixed_checkpoint();
  const Checkpoint source = write_source(checkpoint);
  ASSERT_TRUE(run(source));

  const Checkpoint result = open_safetensors(destination());
  const std::string bytes = read_bytes(destination());
  const auto data_of = [&](std::string_view name) {
    const TensorEntry* entry = result.tensors.find(name);
    EXPECT_NE(entry, nullptr) << name;
    return bytes.substr(result.files[0].data_start + entry->begin, entry->bytes());
  };
  EXPECT_EQ(*result.tensors.metadata(), *source.tensors.metadata());
  std::size_t quantized = 0;
  for (const TestTensor& tensor : checkpoint.tensors) {
    const TensorEntry& entry = *source.tensors.find(tensor.name);
    if (find_layout(int8_rowwise(), Container::kSafetensors)
            ->scheme->stay_reason(entry, {source.tensors, entry.name, nullptr}, int8_rowwise()) !=
        StayReason::kNone) {
      EXPECT_TRUE(data_of(tensor.name) == tensor.data) << tensor.name;
      EXPECT_EQ(result.tensors.find(tensor.name)->dtype, tensor.dtype);
      continue;
    }
    ++quantized;
    const InMemory expected(int8_rowwise(), tensor, context_);
    const std::string layer = tensor.name.substr(0, tensor.name.size() - 7);
    // Of long strings that differ gtest would look for the shortest edit, for minutes.
    EXPECT_TRUE(data_of(tensor.name) == expected.codes()) << tensor.name;
    EXPECT_TRUE(data_of(layer + ".weight_scale") == expected.scales()) << tensor.name;
  }
  EXPECT_EQ(quantized, 6U);
  EXPECT_EQ(result.tensors.size(), checkpoint.tensors.size() + 2 * quantized);
}

TEST_F(RunFileJob, IsTheSameFileForAnyThreadsAndExecutor) {
  const Checkpoint source = write_source(mixed_checkpoint());
  ASSERT_TRUE(run(source));
  const std::string expected = read_bytes(destination());
  for (Executor* executor : {&default_executor(), &plain_executor()}) {
    for (const std::size_t threads : {1U, 2U, 3U, 4U}) {
      context_ = make_context(threads, *executor);
      ASSERT_TRUE(run(source));
      EXPECT_TRUE(read_bytes(destination()) == expected) << executor->name() << threads;
    }
  }
}

TEST_F(RunFileJob, LeavesNothingButTheNewFile) {
  const Checkpoint source = write_source(mixed_checkpoint());
  options_.sync = true;
  ASSERT_TRUE(run(source));
  EXPECT_THAT(folder_.names(), ElementsAre("in.safetensors", "out.safetensors"));
}

TEST_F(RunFileJob, LeavesTensorsThatTheChoicesLeave) {
  TestCheckpoint checkpoint;
  checkpoint.add_random("a.weight", ElementType::kF32, {8, 8});
  checkpoint.add_random("b.weight", ElementType::kF32, {8, 8});
  const Checkpoint source = write_source(checkpoint);
  const std::vector<std::uint8_t> choices = {0, kLeaveTensor};
  ASSERT_TRUE(run(source, choices));
  const Checkpoint result = open_safetensors(destination());
  EXPECT_EQ(result.tensors.find("a.weight")->dtype, ElementType::kI8);
  EXPECT_EQ(result.tensors.find("b.weight")->dtype, ElementType::kF32);
}

TEST_F(RunFileJob, WritesAFileWithoutTensors) {
  const Checkpoint source = write_source({});
  ASSERT_TRUE(run(source));
  EXPECT_EQ(open_safetensors(destination()).tensors.size(), 0U);
}

TEST_F(RunFileJob, CopiesAcrossFileSystems) {
  // The kernel does not copy between two kinds of file system.
  if (::access("/dev/shm", W_OK) != 0) GTEST_SKIP() << "there is no /dev/shm to write to";
  const Checkpoint source = write_source(mixed_checkpoint());
  ASSERT_TRUE(run(source));
  const std::string other = "/dev/shm/quarrow-test-" + std::to_string(::getpid());
  FilePlan plan = plan_of(source);
  ASSERT_TRUE(run_file_job(source, plan, other, options_, context_).finished);
  const bool same = read_bytes(other) == read_bytes(destination());
  ::unlink(other.c_str());
  EXPECT_TRUE(same);
}

// ---- failures

TestCheckpoint non_finite_checkpoint() {
  TestCheckpoint checkpoint;
  for (int index = 0; index < 12; ++index) {
    checkpoint.add_random("l" + std::to_string(index) + ".weight", ElementType::kF32, {900, 300});
  }
  const float infinite = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  checkpoint.set("l5.weight", 300 * 2 + 7, -infinite);
  checkpoint.set("l5.weight", 300 * 899 + 1, nan);
  for (const char* name : {"l6.weight", "l7.weight", "l11.weight"}) checkpoint.set(name, 0, nan);
  return checkpoint;
}

TEST_F(RunFileJob, ReportsTheFirstNonFiniteLayerWhole) {
  const Checkpoint source = write_source(non_finite_checkpoint());
  folder_.write("out.safetensors", "old");
  for (const std::size_t threads : {1U, 2U, 4U}) {
    context_ = make_context(threads);
    try {
      run(source);
      FAIL();
    } catch (const LayerFault& fault) {
      EXPECT_EQ(source.tensors[fault.tensor].name, "l5.weight");
      EXPECT_EQ(fault.status.code, StatusCode::kNonFinite);
      EXPECT_EQ(fault.status.position, 300U * 2 + 7);
      EXPECT_EQ(fault.status.count, 2U);
      EXPECT_EQ(fault.status.kind, NonFiniteKind::kNegativeInf);
    }
    EXPECT_THAT(folder_.names(), ElementsAre("in.safetensors", "out.safetensors"));
    EXPECT_EQ(read_bytes(destination()), "old");
  }
}

TEST_F(RunFileJob, ReportsTheFirstLayerAlsoWhenALaterOneFailsEarlier) {
  TestCheckpoint checkpoint;
  for (const char* name : {"a.weight", "b.weight"}) {
    checkpoint.add_random(name, ElementType::kF32, {4, 4});
    checkpoint.set(name, 0, std::numeric_limits<float>::quiet_NaN());
  }
  const Checkpoint source = write_source(checkpoint);
  UnluckyExecutor executor;
  context_ = make_context(2, executor);
  try {
    run(source);
    FAIL();
  } catch (const LayerFault& fault) {
    EXPECT_EQ(source.tensors[fault.tensor].name, "a.weight");
  }
}

TEST_F(RunFileJob, ReportsNonFiniteValuesOfRowsLongerThanATile) {
  TestCheckpoint checkpoint;
  checkpoint.add_random("long.weight", ElementType::kF32, {2, 200'000});
  checkpoint.set("long.weight", 399'999, std::numeric_limits<float>::quiet_NaN());
  const Checkpoint source = write_source(checkpoint);
  try {
    run(source);
    FAIL();
  } catch (const LayerFault& fault) {
    EXPECT_EQ(fault.status.position, 399'999U);
    EXPECT_EQ(fault.status.count, 1U);
  }
  EXPECT_THAT(folder_.names(), ElementsAre("in.safetensors"));
}

TEST_F(RunFileJob, SaturatesWhenAsked) {
  const TestCheckpoint checkpoint = non_finite_checkpoint();
  const Checkpoint source = write_source(checkpoint);
  options_.policy = NonFinitePolicy::kSaturate;
  ASSERT_TRUE(run(source));
  const Checkpoint result = open_safetensors(destination());
  const TensorEntry& entry = *result.tensors.find("l5.weight");
  const std::string bytes = read_bytes(destination());
  const InMemory expected(int8_rowwise(), *checkpoint.find("l5.weight"), context_,
                          NonFinitePolicy::kSaturate);
  EXPECT_EQ(bytes.substr(result.files[0].data_start + entry.begin, entry.bytes()),
            expected.codes());
}

TEST_F(RunFileJob, RefusesASourceThatShrinks) {
  for (const char* name : {"l1.weight", "l1.bias"}) {  // one is quantized, one copied
    TestCheckpoint checkpoint;
    checkpoint.add_random("l0.weight", ElementType::kF32, {100, 300});
    checkpoint.add_random(name, ElementType::kF32, {900, 300});
    const Checkpoint source = write_source(checkpoint);
    ASSERT_EQ(::truncate(source_path().c_str(), 400'000), 0);
    try {
      run(source);
      FAIL();
    } catch (const CheckpointFault& fault) {
      EXPECT_EQ(fault.rule, FileRule::kShrank);
      EXPECT_EQ(fault.tensor, name);
      EXPECT_EQ(fault.position, 400'000U);
    }
    EXPECT_THAT(folder_.names(), ElementsAre("in.safetensors"));
  }
}

TEST_F(RunFileJob, RefusesASourceThatChanges) {
  TestCheckpoint checkpoint;
  checkpoint.add_random("a.weight", ElementType::kF32, {4, 4});
  const Checkpoint source = write_source(checkpoint);
  std::filesystem::last_write_time(source_path(), std::filesystem::file_time_type{});
  try {
    run(source);
    FAIL();
  } catch (const CheckpointFault& fault) {
    EXPECT_EQ(fault.rule, FileRule::kChanged);
  }
  EXPECT_THAT(folder_.names(), ElementsAre("in.safetensors"));
}

TEST_F(RunFileJob, RefusesTheSourceAsDestination) {
  const Checkpoint source = write_source(mixed_checkpoint());
  const std::string before = read_bytes(source_path());
  FilePlan plan = plan_of(source);
  EXPECT_THROW(run_file_job(source, plan, source_path(), options_, context_), PathFault);
  EXPECT_EQ(read_bytes(source_path()), before);
}

TEST_F(RunFileJob, ReportsARangeThatNoScaleHolds) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  for (const std::int64_t cols : {300, 90'000}) {
    TestCheckpoint checkpoint;
    checkpoint.add_random("a.weight", ElementType::kF32, {270'000 / cols, cols});
    const auto row = static_cast<std::size_t>(cols) * 2;
    checkpoint.set("a.weight", row, kLargest);
    checkpoint.set("a.weight", row + static_cast<std::size_t>(cols) - 1, -kLargest);
    const Checkpoint source = write_source(checkpoint);
    const Format format = default_format(*find_format("int8"));
    const std::uint8_t first = 0;
    FilePlan plan = plan_quantized(source, stored_layers_of(source), {&format, 1}, {&first, 1}, {});
    ASSERT_EQ(plan.tensors[0].reason, StayReason::kNone);
    try {
      run_file_job(source, plan, destination(), options_, context_);
      FAIL() << "there is such a scale";
    } catch (const LayerFault& fault) {
      EXPECT_EQ(fault.status.code, StatusCode::kRangeOverflow);
      EXPECT_EQ(fault.status.position, row);
    }
  }
}

TEST_F(RunFileJob, APlanServesAgain) {
  const Checkpoint source = write_source(mixed_checkpoint());
  FilePlan plan = plan_of(source);
  ASSERT_TRUE(run_file_job(source, plan, destination(), options_, context_).finished);
  const std::string first = read_bytes(destination());
  EXPECT_EQ(first.size(), plan.file_bytes());
  ASSERT_TRUE(run_file_job(source, plan, destination(), options_, context_).finished);
  EXPECT_TRUE(read_bytes(destination()) == first);
}

TEST_F(RunFileJob, TensorsOfAProgramMakeTheFileThatThoseOfAFileMake) {
  const TestCheckpoint checkpoint = mixed_checkpoint();
  const Checkpoint source = write_source(checkpoint);
  ASSERT_TRUE(run(source));
  const std::string expected = read_bytes(destination());
  std::vector<TensorInMemory> tensors;
  for (const TensorEntry& entry : source.tensors.entries()) {
    tensors.push_back({entry.name, entry.dtype, entry.shape,
                       std::as_bytes(std::span(checkpoint.find(entry.name)->data))});
  }
  ASSERT_TRUE(run(checkpoint_in_memory(tensors, *source.tensors.metadata())));
  EXPECT_TRUE(read_bytes(destination()) == expected);
}

TEST_F(RunFileJob, EachSchemeDescribesItsOwnLayersAlone) {
  TestCheckpoint checkpoint;
  checkpoint.add_random("a.weight", ElementType::kF32, {16, 128});
  checkpoint.add_random("b.weight", ElementType::kF32, {16, 128});
  const Checkpoint source = write_source(checkpoint);
  const std::vector<Format> formats = {int8_rowwise(), default_format(*find_format("int4"))};
  const std::vector<std::uint8_t> choices = {0, 1};
  const FilePlan plan = plan_quantized(source, stored_layers_of(source), formats, choices, {});
  ASSERT_GE(plan.metadata->size(), 2U);
  for (const auto& [key, value] : *plan.metadata) {
    const std::string_view text = value.text();
    const bool names_first = text.find("\"a") != std::string_view::npos;
    const bool names_second = text.find("\"b") != std::string_view::npos;
    EXPECT_FALSE(names_first && names_second) << key << ": " << text;
    EXPECT_TRUE(names_second || key != "quantization_config") << text;
  }
}

// ---- progress and errors

TEST_F(RunFileJob, ReportsEveryTensorInOrder) {
  const TestCheckpoint checkpoint = mixed_checkpoint();
  const Checkpoint source = write_source(checkpoint);
  RecordedProgress progress;
  options_.progress = &progress;
  ASSERT_TRUE(run(source));
  std::vector<std::string> names;
  std::uint64_t before = 0;
  const std::uint64_t total = source.file_bytes() - source.files[0].data_start;
  for (const auto& call : progress.calls) {
    EXPECT_GE(call.done, before);
    EXPECT_EQ(call.total, total);
    before = call.done;
    if (names.empty() || names.back() != call.name) names.push_back(call.name);
  }
  EXPECT_EQ(before, total);
  std::vector<std::string> expected;
  for (const TensorEntry& entry : source.tensors.entries()) expected.emplace_back(entry.name);
  EXPECT_EQ(names, expected);
}

TEST_F(RunFileJob, StopsWhenTheProgressSaysSo) {
  const Checkpoint source = write_source(mixed_checkpoint());
  // At the first call, and at the last, when all data is written.
  for (const std::size_t stop_at : {std::size_t{1}, source.tensors.size()}) {
    RecordedProgress progress;
    progress.stop_at = stop_at;
    options_.progress = &progress;
    EXPECT_FALSE(run(source));
    EXPECT_EQ(progress.calls.size(), stop_at);
    EXPECT_THAT(folder_.names(), ElementsAre("in.safetensors"));
  }
}

TEST_F(RunFileJob, StopsWithinATensorWhenTheProgressSaysSo) {
  TestCheckpoint checkpoint;
  checkpoint.add_random("a.weight", ElementType::kF32, {900, 300});
  const Checkpoint source = write_source(checkpoint);
  UnluckyExecutor executor;
  context_ = make_context(2, executor);
  RecordedProgress progress;
  progress.stop_at = 1;
  options_.progress = &progress;
  EXPECT_FALSE(run(source));
  ASSERT_EQ(progress.calls.size(), 1U);
  EXPECT_GT(progress.calls[0].done, 0U);
  EXPECT_LT(progress.calls[0].done, progress.calls[0].total);
}

TEST_F(RunFileJob, MeasuresTheErrorOfEachLayer) {
  const TestCheckpoint checkpoint = mixed_checkpoint();
  const Checkpoint source = write_source(checkpoint);
  ASSERT_TRUE(run(source));
  EXPECT_THAT(errors_, IsEmpty());
  options_.measure_error = true;
  ASSERT_TRUE(run(source));
  const Format format = int8_rowwise();
  FilePlan plan = plan_of(source);
  ASSERT_EQ(errors_.size(), plan.layers.layers.size());
  for (std::size_t index = 0; index < plan.tensors.size(); ++index) {
    if (plan.tensors[index].reason != StayReason::kNone) continue;
    const TestTensor& tensor = *checkpoint.find(source.tensors[index].name);
    const ErrorSums expected = InMemory(format, tensor, context_).errors();
    const ErrorSums& measured = errors_[plan.tensors[index].layer];
    EXPECT_EQ(measured.squared_error, expected.squared_error) << tensor.name;
    EXPECT_EQ(measured.max_abs, expected.max_abs) << tensor.name;
    EXPECT_EQ(measured.count, expected.count) << tensor.name;
  }
}

}  // namespace
}  // namespace quarrow

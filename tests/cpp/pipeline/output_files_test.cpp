// SPDX-License-Identifier: Apache-2.0
#include "pipeline/output_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <thread>

#include "containers/safetensors_index.h"
#include "containers/test_files.h"
#include "pipeline/test_callers.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/container.h"
#include "quarrow/containers/safetensors.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class OutputFilesTest : public ::testing::Test {
 protected:
  // Outputs that hold so many tensors without data.
  static FilePlan plan_of(std::size_t outputs, std::size_t tensors,
                          std::span<const std::uint64_t> shape) {
    FilePlan plan;
    plan.outputs.resize(outputs);
    for (OutputPlan& output : plan.outputs) {
      output.entries.resize(tensors);
      for (TensorEntry& entry : output.entries) entry.shape = shape;
      output.header_bytes = sizeof(std::uint64_t);
    }
    return plan;
  }
  PathFault fault_of(const FilePlan& plan) const {
    try {
      const OutputFiles files(Checkpoint(), plan, folder_ / "out.safetensors", nullptr);
    } catch (const PathFault& fault) {
      EXPECT_THAT(folder_.names(), IsEmpty());
      return fault;
    }
    throw std::runtime_error("the plan was accepted");
  }

  TestFolder folder_;
};

TEST_F(OutputFilesTest, RefusesAnIndexThatWouldNotBeRead) {
  const PathFault fault = fault_of(plan_of(2, kMaxIndexTensors / 2 + 1, {}));
  EXPECT_EQ(fault.rule, PathRule::kIndexTooLarge);
  EXPECT_EQ(fault.path, folder_ / "out.safetensors.index.json");
  EXPECT_EQ(fault_of(plan_of(kMaxIndexFiles + 1, 0, {})).rule, PathRule::kIndexTooLarge);
}

TEST_F(OutputFilesTest, RefusesAHeaderThatWouldNotBeRead) {
  const std::vector<std::uint64_t> shape(kMaxHeaderDimensions / 2 + 1, 1);
  EXPECT_EQ(fault_of(plan_of(1, 2, shape)).rule, PathRule::kHeaderTooLarge);
  FilePlan plan = plan_of(1, 0, {});
  plan.outputs[0].header_bytes += kMaxHeaderBytes + 1;
  EXPECT_EQ(fault_of(plan).rule, PathRule::kHeaderTooLarge);
  plan = plan_of(1, 0, {});
  plan.metadata.emplace(kMaxHeaderKeys + 1);
  EXPECT_EQ(fault_of(plan).rule, PathRule::kHeaderTooLarge);
  plan = plan_of(1, spec_of(Container::kGguf).most_tensors + 1, {});
  plan.container = Container::kGguf;
  EXPECT_THROW(OutputFiles(Checkpoint(), plan, folder_ / "out.gguf", nullptr), PathFault);
}

TEST_F(OutputFilesTest, AnEmptyNameIsToldAsSuch) {
  for (const std::size_t outputs : {1U, 2U}) {
    try {
      const OutputFiles files(Checkpoint(), plan_of(outputs, 0, {}), "", nullptr);
      FAIL() << "it was accepted";
    } catch (const std::filesystem::filesystem_error& error) {
      EXPECT_EQ(error.path1(), "");
    }
  }
}

TEST_F(OutputFilesTest, LooksAtEveryPathBeforeItMakesAFile) {
  std::filesystem::create_directory(folder_ / "out.safetensors.index.json");
  const FilePlan plan = plan_of(2, 0, {});
  // It would have to wait for the first one.
  const AtomicFile other(folder_ / "out-00001-of-00002.safetensors", {});
  std::thread job([&] {
    CountingPoll poll([] {
      ADD_FAILURE() << "it waits";
      return false;
    });
    try {
      const OutputFiles files(Checkpoint(), plan, folder_ / "out.safetensors", &poll);
      ADD_FAILURE();
    } catch (const PathFault& fault) {
      EXPECT_EQ(fault.rule, PathRule::kFolder);
      EXPECT_EQ(fault.path, folder_ / "out.safetensors.index.json");
    } catch (const AtomicFile::Stopped&) {
    }
  });
  job.join();
}

TEST_F(OutputFilesTest, ASetLiesInTheFolderOfItsTimeWhereverTheProgramGoes) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  std::filesystem::create_directory("inner");
  const FilePlan plan = plan_of(2, 0, {});
  // The second shard is waited for, and its poll goes elsewhere.
  std::optional<AtomicFile> other(std::in_place, "out-00002-of-00002.safetensors",
                                  std::span<const FileIdentity>());
  std::thread job([&] {
    CountingPoll poll([&] {
      std::filesystem::current_path(folder_ / "inner");
      other.reset();
      return true;
    });
    OutputFiles files(Checkpoint(), plan, "out.safetensors", &poll);
    files.publish(false);
  });
  job.join();
  std::filesystem::current_path(before);
  EXPECT_THAT(folder_.names(),
              ElementsAre("inner", "out-00001-of-00002.safetensors",
                          "out-00002-of-00002.safetensors", "out.safetensors.index.json"));
}

}  // namespace
}  // namespace quarrow

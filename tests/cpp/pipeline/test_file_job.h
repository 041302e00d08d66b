// SPDX-License-Identifier: Apache-2.0
//
// Jobs from a file to a file, in a folder of their own.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "containers/test_files.h"
#include "pipeline/test_checkpoint.h"
#include "quarrow/containers/safetensors.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow {

inline Format int8_rowwise() { return default_format(*find_format("int8_rowwise")); }

class RunFileJob : public ::testing::Test {
 protected:
  std::string source_path() const { return folder_ / "in.safetensors"; }
  std::string destination() const { return folder_ / "out.safetensors"; }

  Checkpoint write_source(const TestCheckpoint& checkpoint) {
    folder_.write("in.safetensors", checkpoint.bytes());
    return open_safetensors(source_path());
  }

  bool run(const Checkpoint& source, std::span<const std::uint8_t> choices = {}) {
    FilePlan plan = plan_of(source, choices);
    FileJobResult result = run_file_job(source, plan, destination(), options_, context_);
    errors_ = std::move(result.errors);
    return result.finished;
  }

  // Without choices: all that the layout takes, small tensors too.
  static FilePlan plan_of(const Checkpoint& source, std::span<const std::uint8_t> choices = {}) {
    static const Format format = int8_rowwise();
    const std::vector<std::uint8_t> first(source.tensors.size(), 0);
    return plan_quantized(source, stored_layers_of(source), {&format, 1},
                          choices.empty() ? first : choices, {});
  }

  static Context make_context(std::size_t threads, Executor& executor = default_executor()) {
    Context context;
    context.executor = &executor;
    context.target = *default_target();
    context.threads = threads;
    return context;
  }

  TestFolder folder_;
  FileJobOptions options_{.sync = false};
  Context context_ = make_context(2);
  std::vector<ErrorSums> errors_;
};

// Shapes that cover: many rows in a tile, several tiles, rows longer than a tile (two passes), an
// element; and everything that stays.
inline TestCheckpoint mixed_checkpoint() {
  TestCheckpoint checkpoint;
  checkpoint.metadata = {{"format", "pt"}, {"note", "a\nb"}};
  checkpoint.add_random("blocks.0.weight", ElementType::kBF16, {96, 257});
  checkpoint.add_random("blocks.0.bias", ElementType::kBF16, {96});
  checkpoint.add_random("blocks.1.weight", ElementType::kF32, {700, 333});
  checkpoint.add_random("long.weight", ElementType::kF32, {3, 150'001});
  checkpoint.add_random("half.weight", ElementType::kF16, {5, 7});
  checkpoint.add_random("wide.weight", ElementType::kF64, {4, 9});
  checkpoint.add_random("one.weight", ElementType::kF32, {1, 1});
  checkpoint.add_random("conv.weight", ElementType::kF16, {300, 600, 3, 3});
  checkpoint.add("empty.weight", ElementType::kF32, {0, 4}, "");
  checkpoint.add("step", ElementType::kI64, {}, "12345678");
  checkpoint.add("odd", ElementType::kU8, {3}, "abc");
  return checkpoint;
}

}  // namespace quarrow

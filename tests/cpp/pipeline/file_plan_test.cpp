// SPDX-License-Identifier: Apache-2.0
//
// Plans that no file could hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "pipeline/test_file_job.h"

namespace quarrow {
namespace {

TEST(FilePlan, RefusesFilesLongerThanCanBe) {
  // The longest tensors that there can be.
  const std::vector<std::uint64_t> shape = {(std::uint64_t{1} << 60) - 1};
  for (const std::size_t count : {7U, 8U, 9U}) {
    Checkpoint source;
    for (std::size_t index = 0; index < count; ++index) {
      TensorEntry entry;
      entry.name = source.tensors.keep("t" + std::to_string(index));
      entry.shape = shape;
      entry.dtype = ElementType::kU8;
      entry.begin = index * shape[0];
      entry.end = entry.begin + shape[0];
      source.tensors.add(entry);
    }
    source.tensors.seal();
    const Format format = int8_rowwise();
    const auto plan = [&] {
      return plan_quantized(source, stored_layers_of(source), {&format, 1}, {}, {});
    };
    if (count == 7) {
      EXPECT_EQ(plan().outputs[0].entries.size(), 7U);
    } else {
      EXPECT_THROW(plan(), std::length_error) << count;
    }
  }
}

TEST(FilePlan, RefusesALayerWhoseScalesWouldBeLongerThanCanBe) {
  const std::vector<std::uint64_t> shape = {std::uint64_t{1} << 58, 1};
  Checkpoint source;
  TensorEntry entry;
  entry.name = "l.weight";
  entry.shape = shape;
  entry.dtype = ElementType::kF16;
  entry.end = std::uint64_t{1} << 59;
  source.tensors.add(entry);
  source.tensors.seal();
  const Format format = int8_rowwise();
  const std::uint8_t first = 0;
  EXPECT_THROW(plan_quantized(source, stored_layers_of(source), {&format, 1}, {&first, 1}, {}),
               std::length_error);
}

TEST(FilePlan, RefusesAFormatThatNoFileCarries) {
  FormatSpec unknown = *find_format("int8");
  unknown.name = "of nobody";
  const Format format = default_format(unknown);
  const Checkpoint nothing;
  EXPECT_THROW(plan_quantized(nothing, stored_layers_of(nothing), {&format, 1}, {}, {}),
               std::invalid_argument);
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "pipeline/layer_writer.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <new>
#include <string>
#include <vector>

#include "containers/failing_calls.h"
#include "containers/test_files.h"
#include "pipeline/test_checkpoint.h"
#include "quarrow/containers/checkpoint.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow {
namespace {

// A layer whose zero points are packed across its tiles.
class LayerWriterTest : public ::testing::Test {
 protected:
  static constexpr int kNone = 1'000'000;

  LayerWriterTest() {
    TestCheckpoint checkpoint;
    checkpoint.add_random("a.weight", ElementType::kF32, {700, 256});
    source_ = open_checkpoint(folder_.write("in", checkpoint.bytes()), Io::kRead);
    plan_ = plan_of(source_);
    cut_tiles(plan_.layers);
  }

  static FilePlan plan_of(const Checkpoint& source) {
    const Format format = default_format(*find_format("int4"));
    return plan_quantized(source, stored_layers_of(source), {&format, 1}, {}, {});
  }

  // Writes a tile whose outputs say which one it is; the allocation of that number fails. False
  // when there was no memory.
  bool write(LayerWriter& writer, std::size_t index, int failing_allocation = kNone) const {
    const Tile& tile = plan_.layers.tiles[index];
    std::string codes(tile.rows * 128, static_cast<char>(index + 1));
    std::vector<float> scales(tile.rows * 2, static_cast<float>(index + 1));
    std::vector<std::uint8_t> zero_points(tile.rows * 2, static_cast<std::uint8_t>(index + 1));
    const FailingCalls failing(Call::kAllocation, ENOMEM, failing_allocation);
    try {
      PerRole<std::byte*> parts;
      parts[Role::kCodes] = reinterpret_cast<std::byte*>(codes.data());
      parts[Role::kScales] = reinterpret_cast<std::byte*>(scales.data());
      parts[Role::kZeroPoints] = reinterpret_cast<std::byte*>(zero_points.data());
      writer.write(tile, 0, parts);
    } catch (const std::bad_alloc&) {
      return false;
    }
    EXPECT_FALSE(failing.failed());
    return true;
  }

  std::string contents(const File& file) const {
    std::string bytes(plan_.outputs[0].file_bytes, '\0');
    EXPECT_EQ(file.read_at(bytes.data(), bytes.size(), 0), bytes.size());
    return bytes;
  }

  TestFolder folder_;
  Checkpoint source_;
  FilePlan plan_;
};

TEST_F(LayerWriterTest, ATileWithoutMemoryForTheLayersZeroPointsLeavesNothingHalfMade) {
  const std::size_t tiles = plan_.layers.tiles.size();
  ASSERT_EQ(tiles, 3U);
  std::string expected;
  int failures = 0;
  // Each allocation of the first tile; where none is left to fail, all is as ever.
  for (int nth = 10; nth > 0; --nth) {
    SCOPED_TRACE(nth);
    const File file = unnamed_file(folder_, plan_.outputs[0].file_bytes);
    const std::vector<const File*> outputs = {&file};
    LayerWriter writer(plan_, outputs);
    const bool written = write(writer, 0, nth);
    failures += written ? 0 : 1;
    // Those of other workers do not meet what it left.
    for (std::size_t index = 1; index < tiles; ++index) EXPECT_TRUE(write(writer, index));
    EXPECT_TRUE(written || write(writer, 0));
    if (expected.empty()) expected = contents(file);
    EXPECT_TRUE(contents(file) == expected);
  }
  EXPECT_GE(failures, 3);
}

TEST_F(LayerWriterTest, AJobWithoutMemoryThrowsAndTheNextOneIsRight) {
  const Context context{
      .executor = &default_executor(), .target = *default_target(), .threads = 2, .poll = nullptr};
  const auto run = [&] {
    FilePlan plan = plan_of(source_);
    return run_file_job(source_, plan, folder_ / "out", {.sync = false}, context).finished;
  };
  ASSERT_TRUE(run());
  const std::string expected = read_bytes(folder_ / "out");
  int thrown = 0;
  bool failed = true;
  for (int nth = 1; failed; ++nth) {
    SCOPED_TRACE(nth);
    bool finished = false;
    {
      const FailingCalls failing(Call::kAllocation, ENOMEM, nth);
      try {
        finished = run();
      } catch (const std::bad_alloc&) {
        ++thrown;
      }
      failed = failing.failed();
    }
    EXPECT_TRUE(finished || failed);
    EXPECT_TRUE(read_bytes(folder_ / "out") == expected);
    EXPECT_EQ(folder_.names(), (std::vector<std::string>{"in", "out"}));
  }
  EXPECT_GT(thrown, 20);
  EXPECT_TRUE(run());
  EXPECT_TRUE(read_bytes(folder_ / "out") == expected);
}

}  // namespace
}  // namespace quarrow

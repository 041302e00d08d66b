// SPDX-License-Identifier: Apache-2.0
//
// Comparisons of tensors in files. Most of what is read of layers is tested in restore_test.cpp.
#include "quarrow/pipeline/read_layer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "containers/test_files.h"
#include "pipeline/test_callers.h"
#include "pipeline/test_checkpoint.h"
#include "quarrow/containers/checkpoint.h"

namespace quarrow {
namespace {

constexpr std::uint64_t kRows = 3;
constexpr std::uint64_t kCols = 300'000;  // rows are compared one by one

class Comparison : public ::testing::Test {
 protected:
  Comparison() {
    TestCheckpoint checkpoint;
    checkpoint.add_random("a", ElementType::kF32, {kRows, kCols});
    checkpoint.tensors.push_back(checkpoint.tensors[0]);
    checkpoint.tensors[1].name = "same";
    checkpoint.tensors.push_back(checkpoint.tensors[0]);
    checkpoint.tensors[2].name = "other";
    checkpoint.set("other", kRows * kCols - 1, 100.0F);
    folder_.write("in", checkpoint.bytes());
    file_ = open_checkpoint(folder_ / "in", Io::kRead);
  }

  const TensorEntry& entry(std::string_view name) const { return *file_.tensors.find(name); }

  bool compare(std::string_view other, Poll& poll, ErrorSums& sums) const {
    const ValuesInFile original{.file = &file_, .tensor = &entry("a")};
    const ValuesInFile compared{.file = &file_, .tensor = &entry(other)};
    return compare_values(original, compared, *default_target(), poll, sums);
  }

  TestFolder folder_;
  Checkpoint file_;
};

TEST_F(Comparison, AddsTheErrorsOfEveryRow) {
  CountingPoll poll([] { return true; });
  ErrorSums same;
  EXPECT_TRUE(compare("same", poll, same));
  EXPECT_EQ(same.count, kRows * kCols);
  EXPECT_EQ(same.max_abs, 0.0);
  ErrorSums other;
  EXPECT_TRUE(compare("other", poll, other));
  EXPECT_GT(other.max_abs, 95.0);
}

TEST_F(Comparison, OfValuesStopsWhereItsCallerSaysSo) {
  for (const std::uint64_t rows : {0U, 1U, 2U}) {
    std::uint64_t polls = 0;
    CountingPoll poll([&] { return polls++ < rows; });
    ErrorSums sums;
    EXPECT_FALSE(compare("same", poll, sums));
    EXPECT_EQ(sums.count, rows * kCols);
  }
}

TEST_F(Comparison, OfBytesIsNotThatOfValues) {
  TestCheckpoint checkpoint;
  checkpoint.add("a", ElementType::kF32, {1}, "1234");
  checkpoint.add("longer", ElementType::kF32, {2}, "12345678");
  checkpoint.add("b", ElementType::kI32, {1}, "1234");
  folder_.write("in", checkpoint.bytes());
  const Checkpoint file = open_checkpoint(folder_ / "in", Io::kRead);
  CountingPoll poll([] { return true; });
  for (const char* other : {"longer", "b"}) {
    EXPECT_FALSE(same_bytes(file, *file.tensors.find("a"), file, *file.tensors.find(other), poll));
  }
}

TEST(ReadLayer, ALayerWithoutRowsHasTheScaleOfItsTensor) {
  const std::string text = R"({"format": "int8_tensorwise", "orig_dtype": "torch.float16"})";
  const TestFolder folder;
  TestCheckpoint checkpoint;
  checkpoint.add("e.weight", ElementType::kI8, {0, 4}, "");
  checkpoint.add_random("e.weight_scale", ElementType::kF32, {});
  checkpoint.add("e.comfy_quant", ElementType::kU8, {static_cast<std::int64_t>(text.size())}, text);
  folder.write("in", checkpoint.bytes());
  const Checkpoint source = open_checkpoint(folder / "in", Io::kRead);
  const StoredLayers layers = find_stored_layers(source);
  ASSERT_EQ(layers.layers().size(), 1U);
  const Plan stored = plan_stored_layers(layers.layers());
  PartMemory read(stored.layers[0]);
  read_layer(source, layers.layers()[0], stored.layers[0], *default_target(), read.span());
  EXPECT_EQ(read.text(Role::kScales), checkpoint.find("e.weight_scale")->data);
}

TEST(ComparisonOfOddValues, CountsWhatIsNotFiniteAsTheSameOrInfinitelyFar) {
  const TestFolder folder;
  const std::string nan("\0\0\xc0\x7f", 4);
  const std::string inf("\0\0\x80\x7f", 4);
  const std::string one("\0\0\x80\x3f", 4);
  TestCheckpoint checkpoint;
  checkpoint.add("a", ElementType::kF32, {3}, nan + inf + one);
  checkpoint.add("same", ElementType::kF32, {3}, nan + inf + one);
  int others = 0;
  for (const std::string& other :
       {one + inf + one, nan + nan + one, nan + inf + nan, nan + one + one, one + one + one}) {
    checkpoint.add("other" + std::to_string(others++), ElementType::kF32, {3}, other);
  }
  folder.write("in", checkpoint.bytes());
  const Checkpoint file = open_checkpoint(folder / "in", Io::kRead);
  CountingPoll poll([] { return true; });
  const auto max_abs = [&](const std::string& name) {
    const ValuesInFile original{.file = &file, .tensor = file.tensors.find("a")};
    const ValuesInFile compared{.file = &file, .tensor = file.tensors.find(name)};
    ErrorSums sums;
    EXPECT_TRUE(compare_values(original, compared, *default_target(), poll, sums));
    return sums.max_abs;
  };
  EXPECT_EQ(max_abs("same"), 0.0);
  for (int other = 0; other < others; ++other) {
    EXPECT_TRUE(std::isinf(max_abs("other" + std::to_string(other)))) << other;
  }
}

TEST_F(Comparison, OfBytesLooksAtTheLastAndStopsWhereItsCallerSaysSo) {
  CountingPoll on([] { return true; });
  EXPECT_TRUE(same_bytes(file_, entry("a"), file_, entry("same"), on));
  EXPECT_FALSE(same_bytes(file_, entry("a"), file_, entry("other"), on));
  std::uint64_t polls = 0;
  CountingPoll off([&] { return polls++ < 1; });
  EXPECT_FALSE(same_bytes(file_, entry("a"), file_, entry("same"), off));
  EXPECT_EQ(polls, 2U);
}

}  // namespace
}  // namespace quarrow

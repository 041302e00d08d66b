// SPDX-License-Identifier: Apache-2.0
//
// Names that are run-end encoded, right and wrong.
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "arrow_tree.h"
#include "quarrow/arrow/layer_table.h"

namespace quarrow {
namespace {

struct Runs {
  std::vector<std::int64_t> ends = {};  // with what stands before `ends_offset`
  char format = 'i';
  std::int64_t ends_offset = 0;
  std::int64_t values = -1;  // how many; -1: as many as ends
  std::int64_t length = 0;   // of the column
  std::int64_t offset = 0;   // of the column
  std::int64_t batch_offset = 0;
};

TestBuffer narrowed(const std::vector<std::int64_t>& ends, char format) {
  if (format == 's') return TestBuffer(std::vector<std::int16_t>(ends.begin(), ends.end()));
  if (format == 'i') return TestBuffer(std::vector<std::int32_t>(ends.begin(), ends.end()));
  return TestBuffer(ends);
}

// A batch of whatever rows the column has from `batch_offset` on; value i is the letter i.
TestArray batch_of(const Runs& runs) {
  const auto count = static_cast<std::int64_t>(runs.ends.size()) - runs.ends_offset;
  TestArray batch =
      test_batch({.format = "+w:0",
                  .length = runs.length,
                  .buffers = {TestBuffer()},
                  .children = {{.format = "f", .buffers = {TestBuffer(), TestBuffer()}}}});
  TestArray ends{.format = std::string(1, runs.format), .length = count, .name = "run_ends"};
  ends.offset = runs.ends_offset;
  ends.buffers = {TestBuffer(), narrowed(runs.ends, runs.format)};
  TestArray values{
      .format = "u", .length = runs.values < 0 ? count : runs.values, .name = "values"};
  std::vector<std::int32_t> offsets{0};
  std::vector<char> letters;
  for (std::int64_t i = 0; i < values.length; ++i) {
    letters.push_back(static_cast<char>('a' + i));
    offsets.push_back(static_cast<std::int32_t>(i + 1));
  }
  values.buffers = {TestBuffer(), TestBuffer(offsets), TestBuffer(letters)};
  batch.children[0] = {.format = "+r",
                       .length = runs.length,
                       .children = {ends, values},
                       .name = "layer_name",
                       .offset = runs.offset};
  batch.offset = runs.batch_offset;
  batch.length = runs.length - runs.batch_offset;
  return batch;
}

// One letter for each row.
std::string names(const Runs& runs) {
  const ArrowTree tree(batch_of(runs));
  const LayerTable table(tree.schema(), {});
  table.check(tree.array());
  std::string all;
  for (std::int64_t row = 0; row < tree.array().length; ++row) {
    all += table.name(tree.array(), row);
  }
  return all;
}

void expect_bad(const Runs& runs) {
  try {
    ADD_FAILURE() << "accepted: " << names(runs);
  } catch (const ArrowFault& fault) {
    EXPECT_EQ(fault.rule, ArrowRule::kBadRunEnds);
    EXPECT_EQ(fault.column, "layer_name");
  }
}

TEST(NameRuns, HoldEveryValueUpToTheirEnd) {
  EXPECT_EQ(names({.ends = {2, 3, 7}, .length = 7}), "aabcccc");
  EXPECT_EQ(names({.ends = {2, 3, 7}, .length = 3, .offset = 1}), "abc");
  EXPECT_EQ(names({.ends = {2, 3, 7}, .length = 4, .offset = 1, .batch_offset = 1}), "bcc");
  EXPECT_EQ(names({.ends = {9, 9, 2, 3, 7}, .ends_offset = 2, .length = 7}), "aabcccc");
  EXPECT_EQ(names({.ends = {}, .length = 0}), "");
}

TEST(NameRuns, AreThoseOfAWalkFromTheStart) {
  std::mt19937 random(1);
  const auto below = [&random](std::int64_t end) {
    return std::uniform_int_distribution<std::int64_t>(0, end - 1)(random);
  };
  for (int round = 0; round < 2'000; ++round) {
    Runs runs{.format = "sil"[round % 3]};
    std::string whole;
    for (std::int64_t i = 0, end = 0; i <= below(20); ++i) {
      const std::int64_t more = 1 + below(5);
      runs.ends.push_back(end += more);
      whole.append(static_cast<std::size_t>(more), static_cast<char>('a' + i));
    }
    const auto values = static_cast<std::int64_t>(whole.size());
    runs.offset = below(values);
    runs.length = 1 + below(values - runs.offset);
    runs.batch_offset = below(runs.length);
    const auto begin = static_cast<std::size_t>(runs.offset + runs.batch_offset);
    ASSERT_EQ(names(runs),
              whole.substr(begin, static_cast<std::size_t>(runs.length - runs.batch_offset)));
  }
}

TEST(NameRuns, MustIncreaseAndReachTheEnd) {
  for (const char format : {'s', 'i', 'l'}) {
    for (const std::vector<std::int64_t>& ends :
         std::vector<std::vector<std::int64_t>>{{},
                                                {2, 6},
                                                {2, 2, 7},
                                                {3, 2, 7},
                                                {7, 2, 9},
                                                {0, 2, 7},
                                                {-1, 2, 7},
                                                {-5, -3, 7},
                                                {5, 6, -7},
                                                {2, -2, 7}}) {
      expect_bad({.ends = ends, .format = format, .length = 7});
    }
  }
  expect_bad({.ends = {2, INT64_MIN, INT64_MAX}, .format = 'l', .length = 7});
  expect_bad({.ends = {2, 7}, .length = 7, .offset = 1});
}

TEST(NameRuns, NeedAValueEach) { expect_bad({.ends = {2, 7}, .values = 1, .length = 7}); }

TEST(NameRuns, OfRowsThatAreNotReadMayBeAnything) {
  EXPECT_EQ(names({.ends = {2, 4, 3}, .length = 3}), "aab");
}

TEST(NameRuns, NeedBothOfTheirParts) {
  const Runs runs{.ends = {2, 7}, .length = 7};
  for (const std::size_t part : {0U, 1U}) {
    TestArray batch = batch_of(runs);
    batch.children[0].children[part].buffers[1] = TestBuffer();
    const ArrowTree tree(batch);
    const LayerTable table(tree.schema(), {});
    EXPECT_THROW(table.check(tree.array()), ArrowFault);
  }
}

TEST(NameRuns, MustHaveTheTypesOfTheSpecification) {
  for (const char* format : {"c", "I", "u", "+r", ""}) {
    TestArray batch = batch_of({.ends = {2, 7}, .length = 7});
    batch.children[0].children[0].format = format;
    const ArrowTree tree(batch);
    EXPECT_THROW(LayerTable(tree.schema(), {}), ArrowFault);
  }
  TestArray batch = batch_of({.ends = {2, 7}, .length = 7});
  batch.children[0].children.pop_back();
  const ArrowTree tree(batch);
  EXPECT_THROW(LayerTable(tree.schema(), {}), ArrowFault);
}

}  // namespace
}  // namespace quarrow

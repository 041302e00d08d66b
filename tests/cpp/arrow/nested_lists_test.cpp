// SPDX-License-Identifier: Apache-2.0
//
// Lists in lists, of every layout, right and wrong, against a reader that takes them apart value by
// value.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "arrow_tree.h"
#include "quarrow/arrow/layer_table.h"

namespace quarrow {
namespace {

// What a row holds, and where.
struct SlowRow {
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> places;  // of its values in the innermost array, with its offset
};

// Of one list; nothing where it is null, or points outside of its items.
std::optional<std::vector<std::int64_t>> slow_items(const TestArray& lists, std::int64_t list) {
  const std::int64_t index = lists.offset + list;
  const auto number = [&](std::size_t buffer, std::int64_t at) {
    const std::byte* const data = lists.buffers[buffer].bytes.data();
    const bool wide = lists.format == "+L" || lists.format == "+vL";
    std::int64_t value = 0;
    std::int32_t narrow = 0;
    if (wide) {
      std::memcpy(&value, data + at * 8, 8);
    } else {
      std::memcpy(&narrow, data + at * 4, 4);
    }
    return wide ? value : narrow;
  };
  if (lists.buffers[0].present &&
      ((static_cast<int>(lists.buffers[0].bytes[static_cast<std::size_t>(index / 8)]) >>
        (index % 8)) &
       1) == 0) {
    return std::nullopt;
  }
  std::int64_t begin = 0;
  std::int64_t count = 0;
  if (lists.format.starts_with("+w:")) {
    count = std::stoll(lists.format.substr(3));
    begin = index * count;
  } else {
    begin = number(1, index);
    count = lists.format.starts_with("+v") ? number(2, index) : number(1, index + 1) - begin;
  }
  if (begin < 0 || count < 0 || begin + count > lists.children[0].length) return std::nullopt;
  std::vector<std::int64_t> items;
  for (std::int64_t i = 0; i < count; ++i) items.push_back(begin + i);
  return items;
}

// Nothing where a list is null, wrong, or not as long as the others.
std::optional<SlowRow> slow_row(const TestArray& weights, std::int64_t row) {
  SlowRow found;
  std::vector<std::int64_t> lists{row};
  const TestArray* level = &weights;
  while (level->format[0] == '+') {
    std::optional<std::size_t> length;
    if (level->format.starts_with("+w:")) length = std::stoull(level->format.substr(3));
    std::vector<std::int64_t> below;
    for (const std::int64_t list : lists) {
      const auto items = slow_items(*level, list);
      if (!items) return std::nullopt;
      if (length.value_or(items->size()) != items->size()) return std::nullopt;
      length = items->size();
      below.insert(below.end(), items->begin(), items->end());
    }
    found.shape.push_back(static_cast<std::int64_t>(length.value_or(0)));
    lists = below;
    level = &level->children[0];
  }
  for (const std::int64_t place : lists) found.places.push_back(level->offset + place);
  return found;
}

// Whether values lie as rows at equal distances, each without a gap.
bool is_matrix(const SlowRow& row) {
  if (row.places.empty() || row.shape.size() == 1) return true;
  const std::size_t columns = row.places.size() / static_cast<std::size_t>(row.shape[0]);
  const std::int64_t stride = columns < row.places.size() ? row.places[columns] - row.places[0] : 0;
  for (std::size_t i = 0; i < row.places.size(); ++i) {
    const auto line = static_cast<std::int64_t>(i / columns);
    const auto column = static_cast<std::int64_t>(i % columns);
    if (row.places[i] != row.places[0] + line * stride + column) return false;
  }
  return true;
}

class RandomLists {
 public:
  explicit RandomLists(std::uint32_t seed) : random_(seed) {}

  std::int64_t below(std::int64_t end) {
    return std::uniform_int_distribution<std::int64_t>(0, end - 1)(random_);
  }

  // `length` lists of so many levels.
  TestArray lists(int levels, std::int64_t length) {
    static constexpr const char* kFormats[] = {"+l", "+L", "+vl", "+vL", "+w:"};
    TestArray made{.format = kFormats[below(5)], .length = length, .offset = below(3)};
    const std::int64_t size = below(4);
    const std::int64_t whole = made.offset + length;
    std::int64_t items = whole * size + below(3);
    if (below(8) == 0) items = below(items + 1);
    std::vector<std::int64_t> begins;
    std::vector<std::int64_t> sizes;
    const std::int64_t gap = made.format[1] == 'v' && below(3) == 0 ? below(4) - 1 : 0;
    for (std::int64_t i = 0; i <= whole; ++i) {
      const std::int64_t begin = i * (size + gap);
      begins.push_back(begin < 0 || begin + size > items ? below(items + 1) : begin);
      sizes.push_back(size);
    }
    if (below(4) == 0) spoil(begins, items);
    if (below(8) == 0) spoil(sizes, items);
    made.buffers = {below(8) == 0 ? some_nulls(whole) : TestBuffer()};
    if (made.format == "+w:") {
      made.format += std::to_string(size);
    } else {
      begins.resize(begins.size() - (made.format[1] == 'v' ? 1 : 0));
      sizes.pop_back();
      made.buffers.push_back(numbers(begins, made.format));
      if (made.format[1] == 'v') made.buffers.push_back(numbers(sizes, made.format));
    }
    made.children.push_back(levels == 1 ? values(items) : lists(levels - 1, items));
    return made;
  }

 private:
  // One of them anything, near the bounds or far beyond.
  void spoil(std::vector<std::int64_t>& numbers, std::int64_t items) {
    const std::int64_t wrong[] = {-1, items, items + 1, INT32_MIN, INT32_MAX, below(items + 1)};
    numbers[static_cast<std::size_t>(below(static_cast<std::int64_t>(numbers.size())))] =
        wrong[below(6)];
  }

  TestBuffer numbers(const std::vector<std::int64_t>& all, const std::string& format) {
    if (format.back() == 'L') return TestBuffer(all);
    return TestBuffer(std::vector<std::int32_t>(all.begin(), all.end()));
  }

  TestBuffer some_nulls(std::int64_t length) {
    std::vector<std::uint8_t> bits(static_cast<std::size_t>(length / 8 + 1), 0xff);
    bits[0] = static_cast<std::uint8_t>(~(1U << below(8)));
    return TestBuffer(bits);
  }

  // Each value tells its place.
  TestArray values(std::int64_t length) {
    TestArray made{.format = "f", .length = length, .offset = below(3)};
    std::vector<float> places;
    for (std::int64_t i = 0; i < made.offset + length; ++i) {
      places.push_back(static_cast<float>(i));
    }
    made.buffers = {TestBuffer(), TestBuffer(places)};
    return made;
  }

  std::mt19937 random_;
};

void expect_values(const TensorView& view, const SlowRow& expected) {
  ASSERT_EQ(view.elements(), expected.places.size());
  for (std::uint64_t i = 0; i < view.elements(); ++i) {
    float value = 0;
    std::memcpy(&value,
                static_cast<const std::byte*>(view.data) +
                    static_cast<std::ptrdiff_t>(i / view.cols) * view.row_stride_bytes +
                    static_cast<std::ptrdiff_t>(i % view.cols * sizeof value),
                sizeof value);
    ASSERT_EQ(value, static_cast<float>(expected.places[i]));
  }
}

TEST(NestedLists, AreWhatAReaderOfSingleValuesSees) {
  int read = 0;
  int strided = 0;
  int scattered = 0;
  int wrong = 0;
  for (std::uint32_t seed = 0; seed < 20'000; ++seed) {
    SCOPED_TRACE(seed);
    RandomLists random(seed);
    const TestArray weights = random.lists(1 + static_cast<int>(seed % 4), 1 + random.below(3));
    const ArrowTree tree(test_batch(weights));
    const LayerTable table(tree.schema(), {});
    table.check(tree.array());
    for (std::int64_t row = 0; row < weights.length; ++row) {
      const auto expected = slow_row(weights, row);
      try {
        const LayerTable::Layer layer = table.layer(tree.array(), row);
        ASSERT_TRUE(expected);
        ASSERT_EQ(layer.shape, expected->shape);
        expect_values(layer.view, *expected);
        ++read;
        strided += layer.view.row_stride_bytes !=
                   static_cast<std::ptrdiff_t>(layer.view.cols * sizeof(float));
      } catch (const ArrowFault& fault) {
        if (fault.rule == ArrowRule::kScatteredLists) {
          // Looked for level by level: what lies below may undo it, or be wrong too.
          ASSERT_TRUE(seed % 4 > 1 || !expected || !is_matrix(*expected));
          ++scattered;
        } else {
          ASSERT_FALSE(expected);
          ++wrong;
        }
      }
    }
  }
  EXPECT_GT(read, 10'000);
  EXPECT_GT(strided, 100);
  EXPECT_GT(scattered, 100);
  EXPECT_GT(wrong, 1'000);
}

// Rows that overlap hold a list as often as there are rows: here as often as would never end.
TEST(NestedLists, OfRowsThatOverlapAreLookedAtOnce) {
  constexpr std::int32_t kLists = 200'000;
  const auto numbers = [](std::int64_t count, std::int32_t value) {
    return TestBuffer(std::vector<std::int32_t>(static_cast<std::size_t>(count), value));
  };
  const TestArray values{.format = "f", .buffers = {TestBuffer(), TestBuffer()}};
  const TestArray empty{.format = "+vl",
                        .length = kLists,
                        .buffers = {TestBuffer(), numbers(kLists, 0), numbers(kLists, 0)},
                        .children = {values}};
  const TestArray rows{.format = "+vl",
                       .length = kLists,
                       .buffers = {TestBuffer(), numbers(kLists, 0), numbers(kLists, kLists)},
                       .children = {empty}};
  const TestArray weights{.format = "+w:" + std::to_string(kLists),
                          .length = 1,
                          .buffers = {TestBuffer()},
                          .children = {rows}};
  const ArrowTree tree(test_batch(weights));
  const LayerTable table(tree.schema(), {});
  table.check(tree.array());
  const std::vector<std::int64_t> shape{kLists, kLists, 0};
  EXPECT_EQ(table.layer(tree.array(), 0).shape, shape);
}

// Told by the sizes alone: no value is read.
TEST(NestedLists, MayBeTooManyForAnyMemory) {
  constexpr std::int64_t kHalf = std::int64_t{1} << 50;
  constexpr std::size_t kSame = std::size_t{1} << 14;
  TestArray values{.format = "f", .length = 2 * kHalf};
  values.buffers = {TestBuffer(), TestBuffer(std::vector<float>{0})};
  std::vector<std::int64_t> begins{0, kHalf, 0};
  std::vector<std::int64_t> sizes{kHalf, kHalf, INT64_MAX};
  begins.resize(3 + kSame, kHalf);
  sizes.resize(3 + kSame, kHalf);
  const TestArray rows{.format = "+vL",
                       .length = 3 + static_cast<std::int64_t>(kSame),
                       .buffers = {TestBuffer(), TestBuffer(begins), TestBuffer(sizes)},
                       .children = {values}};
  const TestArray weights{
      .format = "+l",
      .length = 3,
      .buffers = {TestBuffer(), TestBuffer(std::vector<std::int32_t>{
                                    0, 2, 3, 3 + static_cast<std::int32_t>(kSame)})},
      .children = {rows}};
  TestArray batch = test_batch(weights);
  TestArray numbers{.format = "l", .length = 2};
  numbers.buffers = {TestBuffer(), TestBuffer(std::vector<std::int64_t>{2 * kHalf, 7})};
  TestArray shapes{.format = "+l", .length = 3, .children = {numbers}, .name = "shape"};
  shapes.buffers = {TestBuffer(), TestBuffer(std::vector<std::int32_t>{0, 1, 1, 2})};
  batch.children.push_back(shapes);
  const ArrowTree tree(batch);
  const LayerTable table(tree.schema(), {});
  table.check(tree.array());
  EXPECT_EQ(table.layer(tree.array(), 0).view.elements(), std::uint64_t{2} * kHalf);
  const auto expect_fault = [&](std::int64_t row, ArrowRule rule) {
    try {
      table.layer(tree.array(), row);
      ADD_FAILURE() << "accepted";
    } catch (const ArrowFault& fault) {
      EXPECT_EQ(fault.rule, rule);
    }
  };
  expect_fault(1, ArrowRule::kBadOffsets);
  expect_fault(2, ArrowRule::kShapeOverflow);
}

}  // namespace
}  // namespace quarrow

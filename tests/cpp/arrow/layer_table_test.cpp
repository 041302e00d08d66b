// SPDX-License-Identifier: Apache-2.0
//
// What a mapped file can get wrong: readers do not look at its offsets. What is right is tested
// with real producers, in tests/python/test_arrow.py.
#include "quarrow/arrow/layer_table.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

namespace quarrow {
namespace {

ArrowSchema schema(const char* name, const char* format) {
  ArrowSchema made{};
  made.release = [](ArrowSchema*) {};
  made.name = name;
  made.format = format;
  return made;
}

ArrowArray array(std::int64_t length, std::vector<const void*>& buffers) {
  ArrowArray made{};
  made.release = [](ArrowArray*) {};
  made.length = length;
  made.n_buffers = static_cast<std::int64_t>(buffers.size());
  made.buffers = buffers.data();
  return made;
}

// Two rows, "ab" and "c", of two and one floats. Each part may be damaged before it is read; the
// memory is exactly as long as it has to be, so that the sanitizers see every step beyond.
struct Batch {
  std::vector<std::int32_t> name_offsets{0, 2, 3};
  std::vector<char> names{'a', 'b', 'c'};
  std::vector<std::int32_t> weight_offsets{0, 2, 3};
  std::vector<float> values{1, 2, 3};
  std::vector<std::int64_t> wide_offsets{0, 2, 3};
  std::vector<std::int8_t> indices{0, 1};
  std::int64_t values_length = 3;
  std::int64_t dictionary_length = 2;
  std::int64_t column_length = 2;
  const char* weights_format = "+l";
  bool with_dictionary = false;
  std::int64_t batch_offset = 0;
  std::int64_t column_offset = 0;
  std::int64_t values_offset = 0;
  std::size_t misaligned_by = 0;  // bytes, of every buffer

  LayerTable::Layer layer(std::int64_t row) { return with(row, &LayerTable::layer); }
  std::string name(std::int64_t row) { return std::string(with(row, &LayerTable::name)); }

 private:
  template <typename Result>
  Result with(std::int64_t row, Result (LayerTable::*read)(const ArrowArray&, std::int64_t) const) {
    ArrowSchema text = schema("layer_name", with_dictionary ? "c" : "u");
    ArrowSchema dictionary_type = schema("", "u");
    if (with_dictionary) text.dictionary = &dictionary_type;
    ArrowSchema item = schema("item", "f");
    ArrowSchema* item_type = &item;
    ArrowSchema list = schema("weights", weights_format);
    list.n_children = 1;
    list.children = &item_type;
    std::array<ArrowSchema*, 2> columns{&text, &list};
    ArrowSchema type = schema("", "+s");
    type.n_children = 2;
    type.children = columns.data();

    const auto placed = [this](const auto& part) -> const void* {
      if (misaligned_by == 0) return part.data();
      std::vector<char>& moved = moved_.emplace_back(part.size() * sizeof(part[0]) + 8);
      std::memcpy(moved.data() + misaligned_by, part.data(), moved.size() - 8);
      return moved.data() + misaligned_by;
    };
    std::vector<const void*> text_buffers{nullptr, placed(name_offsets), names.data()};
    ArrowArray texts = array(with_dictionary ? dictionary_length : column_length, text_buffers);
    std::vector<const void*> index_buffers{nullptr, placed(indices)};
    ArrowArray encoded = array(column_length, index_buffers);
    encoded.dictionary = &texts;
    std::vector<const void*> value_buffers{nullptr, placed(values)};
    ArrowArray floats = array(values_length, value_buffers);
    floats.offset = values_offset;
    ArrowArray* items = &floats;
    const bool wide = std::string_view(weights_format) == "+L";
    std::vector<const void*> list_buffers{nullptr,
                                          wide ? placed(wide_offsets) : placed(weight_offsets)};
    ArrowArray lists = array(column_length, list_buffers);
    lists.offset = column_offset;
    lists.n_children = 1;
    lists.children = &items;
    std::array<ArrowArray*, 2> children{with_dictionary ? &encoded : &texts, &lists};
    std::vector<const void*> no_buffers{nullptr};
    ArrowArray batch = array(2, no_buffers);
    batch.offset = batch_offset;
    batch.n_children = 2;
    batch.children = children.data();
    const LayerTable table(type, {});
    table.check(batch);
    return (table.*read)(batch, row);
  }

  std::deque<std::vector<char>> moved_;
};

template <typename Read>
void expect_fault(ArrowRule rule, Read read) {
  try {
    read();
    ADD_FAILURE() << "accepted";
  } catch (const ArrowFault& fault) {
    EXPECT_EQ(fault.rule, rule);
  }
}

template <typename Read>
void expect_bad_offsets(Read read) {
  expect_fault(ArrowRule::kBadOffsets, read);
}

TEST(LayerTable, ReadsWhatIsRight) {
  Batch batch;
  EXPECT_EQ(batch.name(0), "ab");
  EXPECT_EQ(batch.name(1), "c");
  EXPECT_EQ(batch.layer(0).view.data, batch.values.data());
  EXPECT_EQ(batch.layer(1).view.data, batch.values.data() + 2);
  EXPECT_EQ(batch.layer(0).shape, std::vector<std::int64_t>{2});
  batch.weights_format = "+L";
  EXPECT_EQ(batch.layer(1).view.cols, 1U);
  batch.with_dictionary = true;
  EXPECT_EQ(batch.name(1), "c");
}

TEST(LayerTable, RefusesOffsetsOutsideOfTheirData) {
  for (const char* format : {"+l", "+L"}) {
    for (const std::array<int, 3>& offsets :
         {std::array{0, 2, 4}, {0, 2, 1}, {-1, 2, 3}, {0, -1, -1}, {0, 1 << 30, 1 << 30}}) {
      Batch batch;
      batch.weights_format = format;
      batch.weight_offsets.assign(offsets.begin(), offsets.end());
      batch.wide_offsets.assign(offsets.begin(), offsets.end());
      expect_bad_offsets([&] {
        batch.layer(0);
        batch.layer(1);
      });
    }
  }
  Batch names;
  names.name_offsets = {0, 2, 1};
  expect_bad_offsets([&] { names.name(1); });
  names.name_offsets = {-1, 2, 3};
  expect_bad_offsets([&] { names.name(0); });
}

TEST(LayerTable, RefusesListsOfFixedSizeBeyondTheirItems) {
  Batch batch;
  batch.weights_format = "+w:2";
  EXPECT_EQ(batch.layer(0).view.cols, 2U);
  expect_bad_offsets([&] { batch.layer(1); });
  batch.weights_format = "+w:9223372036854775807";
  expect_bad_offsets([&] { batch.layer(1); });
}

TEST(LayerTable, RefusesIndicesOutsideOfTheirDictionary) {
  Batch batch;
  batch.with_dictionary = true;
  batch.indices = {0, -1};
  expect_bad_offsets([&] { batch.name(1); });
  batch.indices = {0, 2};
  expect_bad_offsets([&] { batch.name(1); });
}

TEST(LayerTable, RefusesRowsThatAColumnDoesNotHave) {
  Batch batch;
  batch.column_length = 1;
  expect_bad_offsets([&] { batch.layer(1); });
  expect_bad_offsets([&] { batch.name(1); });
  batch.column_length = 2;
  expect_bad_offsets([&] { batch.layer(2); });
  expect_bad_offsets([&] { batch.layer(-1); });
}

// Mapped files need not align their buffers: the sanitizers see every load.
TEST(LayerTable, ReadsBuffersThatAreNotAligned) {
  for (std::size_t shift = 1; shift < 8; ++shift) {
    Batch batch;
    batch.misaligned_by = shift;
    EXPECT_EQ(batch.name(1), "c");
    EXPECT_EQ(batch.layer(0).view.cols, 2U);
    batch.weights_format = "+L";
    EXPECT_EQ(batch.layer(1).view.cols, 1U);
    batch.with_dictionary = true;
    EXPECT_EQ(batch.name(0), "ab");
  }
}

TEST(LayerTable, RefusesOffsetsThatNoMemoryHas) {
  for (const std::int64_t offset :
       {std::int64_t{-1}, INT64_MIN, INT64_MAX, INT64_MAX - 3, std::int64_t{1} << 58}) {
    for (std::int64_t Batch::* where :
         {&Batch::batch_offset, &Batch::column_offset, &Batch::values_offset}) {
      Batch batch;
      batch.*where = offset;
      expect_fault(ArrowRule::kMissingParts, [&] { batch.layer(0); });
    }
  }
  for (const std::int64_t length : {std::int64_t{-1}, INT64_MAX, std::int64_t{1} << 58}) {
    Batch batch;
    batch.values_length = length;
    expect_fault(ArrowRule::kMissingParts, [&] { batch.layer(0); });
  }
}

// An owner in the making: it counts how often it was released.
TEST(ArrowOwner, ReleasesOnce) {
  static int released = 0;
  ArrowArray source{};
  source.release = [](ArrowArray* array) {
    ++released;
    array->release = nullptr;
  };
  {
    ArrowOwner<ArrowArray> first(source);
    EXPECT_EQ(source.release, nullptr);
    ArrowOwner<ArrowArray> second(std::move(first));
    ArrowOwner<ArrowArray> third;
    third = std::move(second);
    EXPECT_TRUE(third);
    EXPECT_EQ(released, 0);
  }
  EXPECT_EQ(released, 1);
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <stdexcept>

#include "containers/test_files.h"
#include "quarrow/containers/safetensors.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;

class SafetensorsWriter : public ::testing::Test {
 protected:
  // Writes a file whose data is zeros, and opens it.
  Checkpoint round_trip(std::vector<TensorEntry> entries,
                        const std::optional<TensorTable::Metadata>& metadata = {}) {
    std::vector<std::uint32_t> order;
    const std::uint64_t data_bytes = assign_offsets(entries, order);
    const SafetensorsHeader header{&metadata, entries, order};
    const std::string path = folder_ / "out.safetensors";
    const File file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600), path);
    header.write(file);
    EXPECT_EQ(file.identity().bytes, header.bytes());
    EXPECT_EQ(header.bytes() % 8, 0U);
    if (data_bytes > 0) file.write_at("", 1, header.bytes() + data_bytes - 1);
    return open_safetensors(path);
  }

  TestFolder folder_;
};

constexpr std::array<std::uint64_t, 2> kTwoByThree = {2, 3};
constexpr std::array<std::uint64_t, 1> kThree = {3};

TEST_F(SafetensorsWriter, PutsWiderElementsFirstAndKeepsTheOrderWithinAWidth) {
  const auto file = round_trip({{"b", kThree, ElementType::kU8},
                                {"half", kTwoByThree, ElementType::kBF16},
                                {"a", kThree, ElementType::kI8},
                                {"wide", kThree, ElementType::kF64},
                                {"scalar", {}, ElementType::kF32}});
  std::vector<std::string_view> names;
  for (const TensorEntry& entry : file.tensors.entries()) {
    names.push_back(entry.name);
    EXPECT_EQ((file.files[0].data_start + entry.begin) % block_of(entry.dtype).bytes, 0U)
        << entry.name;
  }
  EXPECT_THAT(names, ElementsAre("wide", "scalar", "half", "b", "a"));
}

TEST_F(SafetensorsWriter, KeepsMetadataNamesAndEmptyTensors) {
  constexpr std::array<std::uint64_t, 2> kEmpty = {0, 7};
  const TensorTable::Metadata metadata = {{"z\n", "\xc3\xa9\""}, {"a", ""}};
  const std::string long_name(64 * 1024, 'n');
  const auto file = round_trip(
      {{"a \"quoted\"\n\x01", kEmpty, ElementType::kF16}, {long_name, kThree, ElementType::kU8}},
      metadata);
  EXPECT_EQ(*file.tensors.metadata(), metadata);
  ASSERT_NE(file.tensors.find("a \"quoted\"\n\x01"), nullptr);
  EXPECT_EQ(file.tensors.find("a \"quoted\"\n\x01")->bytes(), 0U);
  EXPECT_NE(file.tensors.find(long_name), nullptr);
}

TEST_F(SafetensorsWriter, WritesAbsentAndEmptyMetadataAsTheyAre) {
  EXPECT_FALSE(round_trip({}).tensors.metadata().has_value());
  EXPECT_TRUE(round_trip({}, TensorTable::Metadata{}).tensors.metadata().has_value());
  const TensorEntry one{"a", kThree, ElementType::kU8};
  EXPECT_TRUE(round_trip({one}, TensorTable::Metadata{}).tensors.metadata().has_value());
}

TEST_F(SafetensorsWriter, WritesHeadersLongerThanItsBuffer) {
  std::vector<std::string> names;
  for (int index = 0; index < 20'000; ++index) names.push_back("layer." + std::to_string(index));
  std::vector<TensorEntry> entries;
  for (const std::string& name : names) entries.push_back({name, kThree, ElementType::kU8});
  const auto file = round_trip(entries);
  ASSERT_EQ(file.tensors.size(), names.size());
  EXPECT_EQ(file.tensors[19'999].name, "layer.19999");
}

TEST_F(SafetensorsWriter, WritesValuesLongerThanItsBuffer) {
  // Wherever a piece ends, for some of these that is inside a character.
  for (const std::string_view start : {"", "a", "ab", "\n"}) {
    std::string value(start);
    for (int index = 0; index < 200'000; ++index) value += "\xe2\x82\xac";
    const auto file = round_trip({}, TensorTable::Metadata{{value, value}});
    EXPECT_EQ(file.tensors.metadata()->front().first, value);
    EXPECT_EQ(file.tensors.metadata()->front().second, value);
  }
}

TEST_F(SafetensorsWriter, RefusesDataBeyond63Bits) {
  constexpr std::array<std::uint64_t, 1> kHuge = {std::uint64_t{1} << 58};
  std::vector<TensorEntry> entries(32, TensorEntry{"a", kHuge, ElementType::kU8});
  std::vector<std::uint32_t> order;
  EXPECT_THROW(assign_offsets(entries, order), std::length_error);
}

TEST_F(SafetensorsWriter, RefusesTensorsOfPartOfAByte) {
  const std::array<std::uint64_t, 1> shape = {1};
  TensorEntry entry;
  entry.shape = shape;
  entry.dtype = ElementType::kF4;
  std::vector<std::uint32_t> order;
  EXPECT_THROW(assign_offsets({&entry, 1}, order), std::length_error);
}

}  // namespace
}  // namespace quarrow

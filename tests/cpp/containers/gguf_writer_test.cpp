// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory_resource>
#include <stdexcept>

#include "containers/gguf_bytes.h"
#include "containers/gguf_container.h"
#include "containers/test_files.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;
using Metadata = std::optional<TensorTable::Metadata>;

constexpr std::array<std::uint64_t, 2> kTwoByThree = {2, 3};
constexpr std::array<std::uint64_t, 1> kThree = {3};
constexpr std::array<std::uint64_t, 2> kBlocks = {2, 256};

class GgufWriter : public ::testing::Test {
 protected:
  // Writes a file whose data is zeros, and opens it.
  Checkpoint round_trip(std::vector<TensorEntry> entries, const Metadata& metadata = {}) {
    std::vector<std::uint32_t> order;
    const FileSizes sizes = place_gguf(metadata, entries, order);
    const std::string path = folder_.write("out.gguf", std::string(sizes.file_bytes, '\0'));
    const File file(::open(path.c_str(), O_RDWR | O_CLOEXEC), path);
    write_gguf_header(metadata, entries, order, file);
    EXPECT_EQ(file.identity().bytes, sizes.file_bytes);
    Checkpoint opened = open_checkpoint(path, Io::kRead);
    EXPECT_EQ(opened.files[0].data_start, sizes.header_bytes);
    EXPECT_EQ(opened.trailing_bytes, 0U);
    return opened;
  }

  TestFolder folder_;
};

TEST_F(GgufWriter, WritesWhatTheFormatSaysByteForByte) {
  const std::array entries = {TensorEntry{"a", kTwoByThree, ElementType::kF16}};
  std::vector<TensorEntry> placed(entries.begin(), entries.end());
  const Metadata metadata = TensorTable::Metadata{{"general.architecture", "flux"}};
  std::vector<std::uint32_t> order;
  const FileSizes sizes = place_gguf(metadata, placed, order);
  const std::string expected =
      gguf_bytes({gguf_key("general.architecture", ValueType::kText, gguf_text("flux"))},
                 {gguf_tensor("a", {3, 2}, 1, 0)});
  EXPECT_EQ(sizes.header_bytes, expected.size());
  // The padding of the last tensor, too.
  EXPECT_EQ(sizes.file_bytes, expected.size() + 32);
  const std::string path = folder_.write("out.gguf", std::string(expected.size(), '\0'));
  write_gguf_header(metadata, placed, order, File(::open(path.c_str(), O_RDWR | O_CLOEXEC), path));
  EXPECT_EQ(read_bytes(path), expected);
}

TEST_F(GgufWriter, KeepsTheOrderAndPadsEveryTensor) {
  const auto file = round_trip({{"b", kThree, ElementType::kI8},
                                {"wide", kTwoByThree, ElementType::kF64},
                                {"blocks", kBlocks, ElementType::kQ4K},
                                {"scalar", {}, ElementType::kBF16}});
  std::vector<std::string_view> names;
  std::vector<std::uint64_t> begins;
  for (const TensorEntry& entry : file.tensors.entries()) {
    names.push_back(entry.name);
    begins.push_back(entry.begin);
  }
  EXPECT_THAT(names, ElementsAre("b", "wide", "blocks", "scalar"));
  EXPECT_THAT(begins, ElementsAre(0U, 32U, 96U, 384U));
  EXPECT_EQ(file.tensors[2].dtype, ElementType::kQ4K);
  EXPECT_EQ(std::vector(file.tensors[2].shape.begin(), file.tensors[2].shape.end()),
            std::vector(kBlocks.begin(), kBlocks.end()));
}

TEST_F(GgufWriter, WritesScalarsThatNumpyLacksAsOneElement) {
  const auto file = round_trip({{"a", {}, ElementType::kBF16}, {"b", {}, ElementType::kF32}});
  EXPECT_EQ(file.tensors[0].shape.size(), 1U);
  EXPECT_EQ(file.tensors[1].shape.size(), 0U);
}

TEST_F(GgufWriter, KeepsTypedValuesAndTheAlignment) {
  const std::string alignment = number_bytes<std::uint32_t>(128);
  const std::string list =
      number_bytes<std::uint32_t>(8) + number_bytes<std::uint64_t>(1) + gguf_text("x");
  const TensorTable::Metadata metadata = {
      {"text", "\xff and more"},
      {"list", MetadataValue(ValueType::kList, list)},
      {"general.alignment", MetadataValue(ValueType::kU32, alignment)}};
  const auto file =
      round_trip({{"a", kThree, ElementType::kF32}, {"b", kThree, ElementType::kF32}}, metadata);
  EXPECT_EQ(*file.tensors.metadata(), metadata);
  EXPECT_EQ(file.tensors[1].begin, 128U);
  EXPECT_EQ(file.files[0].data_start % 128, 0U);
}

TEST_F(GgufWriter, WritesHeadersLongerThanItsBuffer) {
  std::vector<std::string> names;
  for (int index = 0; index < 20'000; ++index) names.push_back("layer." + std::to_string(index));
  std::vector<TensorEntry> entries;
  for (const std::string& name : names) entries.push_back({name, {}, ElementType::kF32});
  const auto file = round_trip(entries);
  ASSERT_EQ(file.tensors.size(), names.size());
  EXPECT_EQ(file.tensors[19'999].name, "layer.19999");
}

TEST_F(GgufWriter, RefusesDataBeyond63Bits) {
  constexpr std::array<std::uint64_t, 1> kHuge = {std::uint64_t{1} << 60};
  std::vector<TensorEntry> entries(8, TensorEntry{"a", kHuge, ElementType::kI8});
  std::vector<std::uint32_t> order;
  EXPECT_THROW(place_gguf({}, entries, order), std::length_error);
}

TEST_F(GgufWriter, FromAnotherContainerNeedsAnArchitectureAndNothingThatIsNotOfGguf) {
  std::pmr::monotonic_buffer_resource memory;
  Metadata none;
  Metadata without = TensorTable::Metadata{{"format", "pt"}};
  for (Metadata* metadata : {&none, &without}) {
    complete_gguf_metadata(*metadata, {.is_foreign = false}, memory);
    try {
      complete_gguf_metadata(*metadata, {.is_foreign = true}, memory);
      ADD_FAILURE() << "it was accepted";
    } catch (const ContainerFault& fault) {
      EXPECT_EQ(fault.rule, ContainerRule::kMissingKey);
      EXPECT_EQ(fault.detail, "general.architecture");
    }
  }
  Metadata metadata = TensorTable::Metadata{{"format", "pt"},
                                            {"general.architecture", "flux"},
                                            {"general.alignment", "64"},
                                            {"general.file_type", "1"},
                                            {"author", "somebody"}};
  complete_gguf_metadata(metadata, {.is_foreign = true}, memory);
  EXPECT_EQ(*metadata,
            (TensorTable::Metadata{{"general.architecture", "flux"}, {"author", "somebody"}}));
  Metadata named;
  complete_gguf_metadata(named, {.is_foreign = true, .architecture = "wan"}, memory);
  EXPECT_EQ(*named, (TensorTable::Metadata{{"general.architecture", "wan"}}));
}

}  // namespace
}  // namespace quarrow

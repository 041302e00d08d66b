// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <array>

#include "containers/failing_calls.h"
#include "containers/gguf_bytes.h"
#include "containers/gguf_container.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kF16 = 1;
constexpr std::uint32_t kQ80 = 8;
constexpr std::uint32_t kQ4K = 12;

class GgufReaderTest : public GgufTest {};

std::vector<std::uint64_t> shape_of(const TensorEntry& entry) {
  return {entry.shape.begin(), entry.shape.end()};
}

// ---- files that are valid

TEST_F(GgufReaderTest, ReadsTensorsWithTheirRowsFirst) {
  const auto file =
      open(gguf_bytes({}, {gguf_tensor("a", {3, 2}, kF32, 0), gguf_tensor("b", {64, 2}, kQ80, 32)},
                      std::string(32 + 160, 'x')));
  EXPECT_EQ(file.container, Container::kGguf);
  ASSERT_EQ(file.tensors.size(), 2U);
  EXPECT_EQ(file.tensors[0].dtype, ElementType::kF32);
  EXPECT_THAT(shape_of(file.tensors[0]), ElementsAre(2, 3));
  EXPECT_EQ(file.tensors[0].bytes(), 24U);
  EXPECT_EQ(file.tensors[1].name, "b");
  EXPECT_EQ(file.tensors[1].dtype, ElementType::kQ80);
  EXPECT_THAT(shape_of(file.tensors[1]), ElementsAre(2, 64));
  EXPECT_EQ(file.tensors[1].bytes(), 2U * 2 * 34);
  EXPECT_EQ(file.position_of(file.tensors[1]), file.files[0].data_start + 32);
  EXPECT_EQ(file.files[0].data_start % 32, 0U);
  EXPECT_EQ(file.trailing_bytes, 0U);
}

TEST_F(GgufReaderTest, IsKnownByItsFirstBytesWhateverItsName) {
  const std::string bytes = gguf_bytes({}, {});
  const std::string path = folder_.write("model.safetensors", bytes);
  EXPECT_EQ(open_checkpoint(path, Io::kRead).container, Container::kGguf);
  EXPECT_EQ(open(safetensors_bytes("{}")).container, Container::kSafetensors);
}

TEST_F(GgufReaderTest, ReadsVersionTwo) {
  EXPECT_EQ(open(gguf_bytes({}, {gguf_tensor("a", {1}, kF32, 0)}, "1234", 32, 2)).tensors.size(),
            1U);
}

TEST_F(GgufReaderTest, ReadsValuesOfEveryType) {
  const std::string list = number_bytes<std::uint32_t>(8) + number_bytes<std::uint64_t>(2) +
                           gguf_text("x") + gguf_text("");
  const auto file = open(gguf_bytes(
      {gguf_key("u8", ValueType::kU8, "\xff"), gguf_key("i8", ValueType::kI8, "\xff"),
       gguf_key("u16", ValueType::kU16, "\xfe\xff"), gguf_key("i16", ValueType::kI16, "\xfe\xff"),
       gguf_key("u32", ValueType::kU32, number_bytes(~0U)),
       gguf_key("i32", ValueType::kI32, number_bytes(-5)),
       gguf_key("f32", ValueType::kF32, number_bytes(0.1F)),
       gguf_key("bool", ValueType::kBool, "\x01"),
       gguf_key("text", ValueType::kText, gguf_text("\xff!")),
       gguf_key("list", ValueType::kList, list),
       gguf_key("u64", ValueType::kU64, number_bytes(~std::uint64_t{0})),
       gguf_key("i64", ValueType::kI64, number_bytes(std::int64_t{-1})),
       gguf_key("f64", ValueType::kF64, number_bytes(1.0 / 0.0))},
      {}));
  std::vector<std::string> words;
  for (const auto& [key, value] : *file.tensors.metadata()) words.push_back(words_of(value));
  EXPECT_THAT(words,
              ElementsAre("255", "-1", "65534", "-2", "4294967295", "-5", "0.1", "true", "\\xff!",
                          R"(["x", ""])", "18446744073709551615", "-1", "Infinity"));
}

TEST_F(GgufReaderTest, ReadsListsOfNumbersAndBools) {
  const std::string numbers = number_bytes<std::uint32_t>(5) + number_bytes<std::uint64_t>(3) +
                              number_bytes(1) + number_bytes(-2) + number_bytes(3);
  const std::string bools =
      number_bytes<std::uint32_t>(7) + number_bytes<std::uint64_t>(2) + std::string("\x01\0", 2);
  const std::string none = number_bytes<std::uint32_t>(12) + number_bytes<std::uint64_t>(0);
  const auto file = open(
      gguf_bytes({gguf_key("n", ValueType::kList, numbers), gguf_key("b", ValueType::kList, bools),
                  gguf_key("", ValueType::kList, none)},
                 {}));
  const TensorTable::Metadata& metadata = *file.tensors.metadata();
  EXPECT_EQ(words_of(metadata[0].second), "[1, -2, 3]");
  EXPECT_EQ(words_of(metadata[1].second), "[true, false]");
  EXPECT_EQ(words_of(metadata[2].second), "[]");
}

TEST_F(GgufReaderTest, FollowsTheAlignmentOfTheFile) {
  const auto file = open(gguf_bytes(
      {gguf_alignment_key(256)}, {gguf_tensor("a", {1}, kF32, 0), gguf_tensor("b", {1}, kF16, 256)},
      std::string(258, 'x'), 256));
  EXPECT_EQ(file.files[0].data_start % 256, 0U);
  EXPECT_EQ(file.tensors[1].begin, 256U);
}

TEST_F(GgufReaderTest, TheLastPaddingMayBeMissingAndAnythingMayFollow) {
  const Pieces tensor = {gguf_tensor("a", {1}, kF32, 0)};
  EXPECT_EQ(open(gguf_bytes({}, tensor, "1234")).trailing_bytes, 0U);
  EXPECT_EQ(open(gguf_bytes({}, tensor, std::string(32, '!'))).trailing_bytes, 0U);
  EXPECT_EQ(open(gguf_bytes({}, tensor, std::string(33, '!'))).trailing_bytes, 1U);
  // Without tensors the header need not be padded either.
  EXPECT_EQ(open(gguf_start(3, 0, 0)).files[0].data_start, 24U);
}

TEST_F(GgufReaderTest, AcceptsScalarsZeroSizesAndManyDimensions) {
  const auto file = open(gguf_bytes(
      {},
      {gguf_tensor("scalar", {}, kF32, 0), gguf_tensor("none", {0, 7}, kF16, 32),
       gguf_tensor("empty", {256, 0}, kQ4K, 32), gguf_tensor("five", {1, 1, 1, 1, 2}, kF16, 32),
       gguf_tensor("many", std::vector<std::uint64_t>(200, 1), kF16, 64)},
      std::string(66, 'x')));
  EXPECT_THAT(shape_of(*file.tensors.find("scalar")), IsEmpty());
  EXPECT_EQ(file.tensors.find("none")->bytes(), 0U);
  EXPECT_THAT(shape_of(*file.tensors.find("five")), ElementsAre(2, 1, 1, 1, 1));
  EXPECT_EQ(file.tensors.find("many")->shape.size(), 200U);
}

TEST_F(GgufReaderTest, ReadsEveryTypeOfGgml) {
  std::size_t known = 0;
  for (std::uint32_t type = 0; type < 100; ++type) {
    const auto dtype = element_type_from_ggml(type);
    if (!dtype) continue;
    ++known;
    const ElementBlock block = block_of(*dtype);
    const auto file = open(gguf_bytes({}, {gguf_tensor("a", {block.elements, 3}, type, 0)},
                                      std::string(3 * block.bytes, 'x')));
    EXPECT_EQ(file.tensors[0].dtype, *dtype);
    EXPECT_EQ(ggml_type(*dtype), type);
  }
  EXPECT_EQ(known, 34U);
}

TEST_F(GgufReaderTest, AcceptsLongAndOddNames) {
  const std::string name(kMaxGgufNameBytes, 'n');
  const auto file = open(gguf_bytes(
      {}, {gguf_tensor(name, {1}, kF32, 0), gguf_tensor("../\xe2\x80\xae<b>\n", {1}, kF32, 32)},
      std::string(36, 'x')));
  EXPECT_NE(file.tensors.find(name), nullptr);
  EXPECT_NE(file.tensors.find("../\xe2\x80\xae<b>\n"), nullptr);
}

TEST_F(GgufReaderTest, ReadsAHeaderLongerThanItsBuffer) {
  Pieces tensors;
  for (std::uint64_t index = 0; index < 20'000; ++index) {
    tensors.push_back(
        gguf_tensor("blk." + std::to_string(index) + ".weight", {8}, kF32, 32 * index));
  }
  const auto file = open(gguf_bytes({}, tensors, std::string(32 * 20'000, 'x')));
  ASSERT_EQ(file.tensors.size(), 20'000U);
  EXPECT_EQ(file.tensors.find("blk.19999.weight")->begin, 32U * 19'999);
}

TEST_F(GgufReaderTest, AFileThatIsCutWhileItIsReadShrank) {
  const std::string path = folder_.write("model.gguf", gguf_bytes({}, {}));
  const BeforeCall cut(Call::kRead, 2, [&] { std::filesystem::resize_file(path, 8); });
  try {
    open_checkpoint(path, Io::kRead);
    FAIL() << "it was read";
  } catch (const CheckpointFault& fault) {
    EXPECT_EQ(fault.rule, FileRule::kShrank);
  }
}

}  // namespace
}  // namespace quarrow

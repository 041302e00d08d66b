// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "containers/failing_calls.h"
#include "containers/foreign_file.h"
#include "containers/reader_test.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SafetensorsReader : public ReaderTest {};

std::vector<std::uint64_t> shape_of(const TensorEntry& entry) {
  return {entry.shape.begin(), entry.shape.end()};
}

// ---- files that are valid

TEST_F(SafetensorsReader, ReadsEntriesInTheOrderOfTheirData) {
  const auto file = open(R"({"b":{"dtype":"F32","shape":[2],"data_offsets":[2,10]},)"
                         R"("a":{"data_offsets":[0,2],"shape":[1,2],"dtype":"I8"}})",
                         std::string(10, 'x'));
  ASSERT_EQ(file.tensors.size(), 2U);
  EXPECT_EQ(file.tensors[0].name, "a");
  EXPECT_EQ(file.tensors[0].dtype, ElementType::kI8);
  EXPECT_THAT(shape_of(file.tensors[0]), ElementsAre(1, 2));
  EXPECT_EQ(file.tensors[1].name, "b");
  EXPECT_EQ(file.tensors[1].begin, 2U);
  EXPECT_EQ(file.tensors[1].end, 10U);
  EXPECT_FALSE(file.tensors.metadata().has_value());
}

TEST_F(SafetensorsReader, KeepsMetadataInItsOrder) {
  const auto file = open(R"({"__metadata__":{"z":"1","a":"\u00e9\n"}})", "");
  ASSERT_TRUE(file.tensors.metadata().has_value());
  EXPECT_THAT(*file.tensors.metadata(),
              ElementsAre(std::pair<std::string_view, MetadataValue>("z", "1"),
                          std::pair<std::string_view, MetadataValue>("a", "\xc3\xa9\n")));
}

TEST_F(SafetensorsReader, EmptyMetadataIsNotAbsentMetadata) {
  const auto file = open(R"({"__metadata__":{}})", "");
  ASSERT_TRUE(file.tensors.metadata().has_value());
  EXPECT_THAT(*file.tensors.metadata(), IsEmpty());
}

TEST_F(SafetensorsReader, AcceptsAFileWithoutTensors) {
  EXPECT_EQ(open("{}", "").tensors.size(), 0U);
}

TEST_F(SafetensorsReader, AcceptsScalarsAndZeroSizes) {
  const auto file = open(R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                         R"("z":{"dtype":"F32","shape":[3,0],"data_offsets":[4,4]},)"
                         R"("y":{"dtype":"F4","shape":[0],"data_offsets":[0,0]}})",
                         "1234");
  EXPECT_EQ(file.tensors.size(), 3U);
  EXPECT_THAT(shape_of(*file.tensors.find("s")), IsEmpty());
  EXPECT_EQ(file.tensors.find("z")->bytes(), 0U);
}

TEST_F(SafetensorsReader, AcceptsTrailingSpaces) {
  EXPECT_EQ(open("{} \n\t     ", "").tensors.size(), 0U);
}

TEST_F(SafetensorsReader, IgnoresUnknownFieldsWhateverTheyHold) {
  const auto file = open(R"({"a":{"x":{"shape":[9],"dtype":"Q","y":[{"z":null},1.5,-1,true,"s"]},)"
                         R"("dtype":"U8","shape":[1],"data_offsets":[0,1],"dtypes":[1,[2,[]]]}})",
                         "1");
  EXPECT_THAT(shape_of(file.tensors[0]), ElementsAre(1));
}

TEST_F(SafetensorsReader, ReadsEveryDType) {
  const std::vector<std::pair<std::string, unsigned>> dtypes = {
      {"BOOL", 8},    {"U8", 8},      {"I8", 8},      {"I16", 16},    {"U16", 16},
      {"F16", 16},    {"BF16", 16},   {"I32", 32},    {"U32", 32},    {"F32", 32},
      {"F64", 64},    {"I64", 64},    {"U64", 64},    {"C64", 64},    {"F8_E4M3", 8},
      {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4}};
  for (const auto& [name, bits] : dtypes) {
    const unsigned bytes = bits;  // of 8 elements
    const auto file = open(R"({"a":{"dtype":")" + name + R"(","shape":[8],"data_offsets":[0,)" +
                               std::to_string(bytes) + "]}}",
                           std::string(bytes, 'x'));
    EXPECT_EQ(name_of(file.tensors[0].dtype), name);
    const ElementBlock block = block_of(file.tensors[0].dtype);
    EXPECT_EQ(8 * block.bytes, bits * block.elements);
  }
}

TEST_F(SafetensorsReader, AcceptsLongAndOddNames) {
  const std::string name(64 * 1024, 'n');
  const auto file =
      open(R"({")" + name + R"(":{"dtype":"U8","shape":[],"data_offsets":[0,1]},)" +
               R"("../\u0000\u202e<b>\n":{"dtype":"U8","shape":[],"data_offsets":[1,2]},)" +
               R"("":{"dtype":"U8","shape":[],"data_offsets":[2,3]}})",
           "123");
  EXPECT_NE(file.tensors.find(name), nullptr);
  EXPECT_NE(file.tensors.find(std::string_view("../\0\xe2\x80\xae<b>\n", 11)), nullptr);
  EXPECT_NE(file.tensors.find(""), nullptr);
  EXPECT_EQ(file.tensors.find("absent"), nullptr);
}

TEST_F(SafetensorsReader, AcceptsManyDimensions) {
  std::string shape = "1";
  for (int axis = 1; axis < 200; ++axis) shape += ",1";
  EXPECT_EQ(open(R"({"a":{"dtype":"U8","shape":[)" + shape + R"(],"data_offsets":[0,1]}})", "1")
                .tensors[0]
                .shape.size(),
            200U);
}

TEST_F(SafetensorsReader, ReadsAHeaderLongerThanItsBuffer) {
  std::string header = "{";
  for (int index = 0; index < 100'000; ++index) {
    header += index == 0 ? "" : ",";
    header += "\"layers." + std::to_string(index) + ".weight\":{\"dtype\":\"U8\",\"shape\":[1,1]," +
              "\"data_offsets\":[" + std::to_string(index) + "," + std::to_string(index + 1) + "]}";
  }
  const auto file = open(header + "}", std::string(100'000, 'x'));
  ASSERT_EQ(file.tensors.size(), 100'000U);
  EXPECT_EQ(file.tensors.find("layers.99999.weight")->begin, 99'999U);
}

// ---- files that are something else

TEST_F(SafetensorsReader, NamesForeignFiles) {
  EXPECT_EQ(fault("").rule, FileRule::kEmptyFile);
  EXPECT_EQ(fault("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n").rule,
            FileRule::kLfsPointer);
  EXPECT_EQ(fault("<!DOCTYPE html><html><body>Not found</body></html>").rule, FileRule::kHtml);
  EXPECT_EQ(fault("\n  <html></html>").rule, FileRule::kHtml);
  EXPECT_EQ(fault("\x80\x02}q\x01X\x05hello").rule, FileRule::kPickle);
  EXPECT_EQ(fault("PK\x03\x04 archive/data.pkl").rule, FileRule::kZip);
  EXPECT_EQ(fault(std::string(4096, '\0')).rule, FileRule::kZeros);
  EXPECT_EQ(fault("GGUF\x03 something").rule, FileRule::kGguf);
  EXPECT_EQ(fault("{\"weight_map\": {}}").rule, FileRule::kJson);
}

TEST_F(SafetensorsReader, AValidLengthThatLooksLikeAPickleIsAHeader) {
  // 0x0280 bytes of header: the file starts with 80 02, as pickles do.
  std::string header = "{}";
  header.resize(0x0280, ' ');
  EXPECT_EQ(open(header, "").tensors.size(), 0U);
}

TEST_F(SafetensorsReader, NamesFoldersAndDevices) {
  const auto rule_of = [](const std::string& path) {
    try {
      open_safetensors(path);
    } catch (const CheckpointFault& fault) {
      return fault.rule;
    }
    return FileRule::kChanged;
  };
  EXPECT_EQ(rule_of(folder_.path()), FileRule::kFolder);
  EXPECT_EQ(rule_of("/dev/null"), FileRule::kDevice);
}

TEST_F(SafetensorsReader, DoesNotWaitForAPipe) {
  const std::string pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  ::alarm(20);  // a reader that waits for a writer would wait for ever
  EXPECT_THROW(open_safetensors(pipe), CheckpointFault);
  ::alarm(0);
}

TEST_F(SafetensorsReader, ReportsAMissingFileAsTheSystemDoes) {
  try {
    open_safetensors(folder_ / "absent.safetensors");
    FAIL();
  } catch (const std::filesystem::filesystem_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    EXPECT_EQ(error.path1(), folder_ / "absent.safetensors");
  }
}

// ---- the header's frame

TEST_F(SafetensorsReader, RefusesATruncatedLength) {
  EXPECT_EQ(fault("\x10\x01\x01").rule, FileRule::kLengthTruncated);
}

TEST_F(SafetensorsReader, RefusesAnEmptyHeader) {
  EXPECT_EQ(fault(length_field(0) + "{}").rule, FileRule::kHeaderEmpty);
}

TEST_F(SafetensorsReader, RefusesAHeaderBeyondTheCap) {
  EXPECT_EQ(fault(length_field(kMaxHeaderBytes + 1) + "abc").rule, FileRule::kHeaderTooLarge);
  EXPECT_EQ(fault(length_field(std::uint64_t{1} << 63) + "abc").rule, FileRule::kHeaderTooLarge);
  EXPECT_EQ(fault(length_field(~std::uint64_t{0}) + "abc").rule, FileRule::kHeaderTooLarge);
}

TEST_F(SafetensorsReader, RefusesAHeaderPastTheEnd) {
  EXPECT_EQ(fault(length_field(3) + "{}").rule, FileRule::kHeaderPastEnd);
  EXPECT_EQ(fault(length_field(kMaxHeaderBytes) + "{}").rule, FileRule::kHeaderPastEnd);
}

TEST_F(SafetensorsReader, RefusesALeadingSpaceAndABom) {
  EXPECT_EQ(fault(" {}", "").rule, FileRule::kHeaderStart);
  const auto bom = fault("\xef\xbb\xbf{}", "");
  EXPECT_EQ(bom.rule, FileRule::kHeaderStart);
  EXPECT_EQ(bom.position, 8U);
}

TEST_F(SafetensorsReader, RefusesNulPaddingAndWhatFollowsIt) {
  const auto padded = fault(std::string_view("{}\0\0\0", 5), "");
  EXPECT_EQ(padded.rule, FileRule::kHeaderNul);
  EXPECT_EQ(padded.position, 10U);
  EXPECT_EQ(fault(std::string_view("{}\0{}", 5), "").rule, FileRule::kHeaderNul);
}

// ---- what the header says about the data

std::string entry(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return R"({"a":{"dtype":")" + std::string(dtype) + R"(","shape":[)" + std::string(shape) +
         R"(],"data_offsets":[)" + std::string(offsets) + "]}}";
}

TEST_F(SafetensorsReader, RefusesShapesThatOverflow) {
  for (const std::string_view shape :
       {"4294967296,4294967296", "18446744073709551615", "0,4294967296,4294967296",
        "4294967296,4294967296,0", "9223372036854775808,0"}) {
    EXPECT_EQ(fault(entry("F32", shape, "0,0"), "").rule, FileRule::kShapeOverflow) << shape;
  }
}

TEST_F(SafetensorsReader, RefusesElementsThatEndInsideAByte) {
  EXPECT_EQ(fault(entry("F4", "3", "0,2"), "12").rule, FileRule::kPartialByte);
  EXPECT_EQ(fault(entry("F6_E2M3", "3", "0,3"), "123").rule, FileRule::kPartialByte);
}

TEST_F(SafetensorsReader, RefusesReversedOffsets) {
  EXPECT_EQ(fault(entry("U8", "1", "1,0"), "1").rule, FileRule::kOffsetsReversed);
}

TEST_F(SafetensorsReader, RefusesSizesThatDoNotMatchTheShape) {
  EXPECT_EQ(fault(entry("F32", "2", "0,4"), "1234").rule, FileRule::kSizeMismatch);
  EXPECT_EQ(fault(entry("F32", "0", "0,4"), "1234").rule, FileRule::kSizeMismatch);
  EXPECT_EQ(fault(entry("F32", "", "0,8"), "12345678").rule, FileRule::kSizeMismatch);
}

TEST_F(SafetensorsReader, RefusesOffsetsPastTheEnd) {
  const auto past = fault(entry("U8", "5", "0,5"), "1234");
  EXPECT_EQ(past.rule, FileRule::kOffsetsPastEnd);
  EXPECT_EQ(past.tensor, "a");
  EXPECT_EQ(fault(entry("U8", "1", "18446744073709551614,18446744073709551615"), "1").rule,
            FileRule::kOffsetsPastEnd);
}

std::string two_entries(std::string_view first, std::string_view second) {
  return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[)" + std::string(first) +
         R"(]},"b":{"dtype":"U8","shape":[4],"data_offsets":[)" + std::string(second) + "]}}";
}

TEST_F(SafetensorsReader, RefusesOverlaps) {
  EXPECT_EQ(fault(two_entries("0,4", "2,6"), "123456").rule, FileRule::kOverlap);
  const auto same = fault(two_entries("0,4", "0,4"), "1234");
  EXPECT_EQ(same.rule, FileRule::kOverlap);
  EXPECT_EQ(same.tensor, "b");
}

TEST_F(SafetensorsReader, RefusesAnEmptyTensorInsideAnother) {
  EXPECT_EQ(fault(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                  R"("z":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
                  "1234")
                .rule,
            FileRule::kOverlap);
}

TEST_F(SafetensorsReader, RefusesHoles) {
  const auto hole = fault(two_entries("0,4", "5,9"), "123456789");
  EXPECT_EQ(hole.rule, FileRule::kHole);
  EXPECT_EQ(hole.tensor, "b");
  EXPECT_EQ(hole.position, 8 + two_entries("0,4", "5,9").size() + 4);
  EXPECT_EQ(fault(two_entries("1,5", "5,9"), "123456789").rule, FileRule::kHole);
}

TEST_F(SafetensorsReader, RefusesTrailingBytes) {
  EXPECT_EQ(fault(two_entries("0,4", "4,8"), "123456789").rule, FileRule::kTrailingBytes);
  EXPECT_EQ(fault("{}", "1").rule, FileRule::kTrailingBytes);
}

TEST_F(SafetensorsReader, AFileThatIsCutBehindItsLengthWhileItIsReadShrank) {
  const std::string path =
      folder_.write("model.safetensors", safetensors_bytes(R"({"__metadata__":{}})"));
  const BeforeCall cut(Call::kRead, 1, [&] { std::filesystem::resize_file(path, 8); });
  try {
    open_safetensors(path);
    FAIL() << "it was read";
  } catch (const CheckpointFault& fault) {
    EXPECT_EQ(fault.rule, FileRule::kShrank);
  }
}

TEST(ForeignFile, IsKnownByItsFirstBytesAlone) {
  EXPECT_EQ(foreign_file("\x80\x02", 9), FileRule::kPickle);
  EXPECT_EQ(foreign_file("\x80\x05", 9), FileRule::kPickle);
  for (const std::string_view other : {"\x80", "\x80\x01", "\x80\x06", " \n", "text"}) {
    EXPECT_EQ(foreign_file(other, 9), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace quarrow

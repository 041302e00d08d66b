// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "containers/header_stream.h"
#include "containers/reader_test.h"

namespace quarrow {
namespace {

class SafetensorsHeaderTest : public ReaderTest {};

TEST_F(SafetensorsHeaderTest, RefusesTextThatIsNotUtf8) {
  EXPECT_EQ(fault("{\"\xff\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", "1").rule,
            FileRule::kInvalidUtf8);
  // Half of a surrogate pair cannot be written in UTF-8 either.
  EXPECT_EQ(fault(R"({"__metadata__":{"a":"\ud800"}})", "").rule, FileRule::kInvalidJson);
}

TEST_F(SafetensorsHeaderTest, RefusesBrokenJson) {
  for (const std::string_view header :
       {"{", "{\"a\"", "{\"a\":", "{\"a\":{}", "{}}", "{} x", "{,}", "{'a':1}", "{/**/}",
        "{\"a\":{\"x\":01}}", "{\"a\":{\"x\":NaN}}", "{\"a\":{\"x\":\"\n\"}}"}) {
    const FileRule rule = fault(header, "").rule;
    EXPECT_TRUE(rule == FileRule::kInvalidJson || rule == FileRule::kMissingField) << header;
  }
}

TEST_F(SafetensorsHeaderTest, RefusesTruncationAnywhere) {
  const std::string whole = safetensors_bytes(
      R"({"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
      "12345678");
  EXPECT_EQ(open(whole).tensors.size(), 1U);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THROW(open(whole.substr(0, length)), CheckpointFault) << length;
  }
}

TEST_F(SafetensorsHeaderTest, ReadsNullAsNoMetadata) {
  const std::string entry = R"("a":{"dtype":"U8","shape":[],"data_offsets":[0,1]})";
  for (const std::string& header :
       {R"({"__metadata__":null,)" + entry + "}", "{" + entry + R"(,"__metadata__":null})"}) {
    const Checkpoint opened = open(safetensors_bytes(header, "1"));
    EXPECT_EQ(opened.tensors.size(), 1U);
    EXPECT_FALSE(opened.tensors.metadata());
  }
  EXPECT_EQ(fault(R"({"__metadata__":null,"__metadata__":{}})", "").rule, FileRule::kDuplicateKey);
}

TEST_F(SafetensorsHeaderTest, RefusesDeepNesting) {
  const auto nested = [](std::size_t depth) {
    return R"({"a":{"x":)" + std::string(depth, '[') + std::string(depth, ']') +
           R"(,"dtype":"U8","shape":[],"data_offsets":[0,1]}})";
  };
  EXPECT_EQ(open(nested(kMaxHeaderDepth), "1").tensors.size(), 1U);
  EXPECT_EQ(fault(nested(kMaxHeaderDepth + 1), "1").rule, FileRule::kTooDeep);
  EXPECT_EQ(fault(nested(1'000'000), "1").rule, FileRule::kTooDeep);
}

TEST_F(SafetensorsHeaderTest, RefusesDuplicateKeysAtEveryLevel) {
  const std::string entry = R"({"dtype":"U8","shape":[],"data_offsets":[0,1]})";
  const auto names = fault(R"({"ab":)" + entry + R"(,"a\u0062":)" + entry + "}", "1");
  EXPECT_EQ(names.rule, FileRule::kDuplicateKey);
  EXPECT_EQ(names.detail, "ab");
  EXPECT_EQ(fault(R"({"__metadata__":{},"__metadata__":{}})", "").rule, FileRule::kDuplicateKey);
  EXPECT_EQ(fault(R"({"__metadata__":{"k":"1","k":"1"}})", "").rule, FileRule::kDuplicateKey);
  const auto field =
      fault(R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"sh\u0061pe":[]}})", "1");
  EXPECT_EQ(field.rule, FileRule::kDuplicateKey);
  EXPECT_EQ(field.tensor, "a");
  EXPECT_EQ(field.detail, "shape");
  EXPECT_EQ(
      fault(R"({"a":{"x":[{"y":1,"y":2}],"dtype":"U8","shape":[],"data_offsets":[0,1]}})", "1")
          .rule,
      FileRule::kDuplicateKey);
}

TEST_F(SafetensorsHeaderTest, AFileThatIsCutWhileItIsReadShrank) {
  const std::string path = folder_.write("a", std::string(100, ' '));
  const File file = File::open_to_read(path);
  try {
    HeaderStream(file, 0, 101);
    FAIL() << "it was read";
  } catch (const CheckpointFault& fault) {
    EXPECT_EQ(fault.rule, FileRule::kShrank);
  }
}

TEST(JsonFault, IsToldWithoutTheParsersOwnWords) {
  EXPECT_EQ(json_fault_text("[error.101] at line 1: a: b"), "a: b");
  EXPECT_EQ(json_fault_text("[error.406] number overflow"), "number overflow");
  EXPECT_EQ(json_fault_text("anything else"), "anything else");
}

TEST_F(SafetensorsHeaderTest, ReadsNumbersThatItHasNoUseFor) {
  const auto with = [](const std::string& number) {
    return R"({"a":{"x":)" + number + R"(,"dtype":"U8","shape":[],"data_offsets":[0,1]}})";
  };
  for (const std::string& number : {std::string("1e400"), std::string(400, '9')}) {
    EXPECT_EQ(open(with(number), "1").tensors.size(), 1U) << number;
  }
  const auto beyond = fault(with("1e99999"), "1");
  EXPECT_EQ(beyond.rule, FileRule::kInvalidJson);
  EXPECT_EQ(beyond.detail, "number overflow parsing '1e99999'");
}

TEST_F(SafetensorsHeaderTest, RefusesMetadataOtherThanStrings) {
  for (const std::string_view value : {"1", "null", "true", "[]", "{}", "-1", "1.5"}) {
    EXPECT_EQ(fault(R"({"__metadata__":{"a":)" + std::string(value) + "}}", "").rule,
              FileRule::kMetadataNotStrings)
        << value;
  }
  EXPECT_EQ(fault(R"({"__metadata__":[]})", "").rule, FileRule::kMetadataNotStrings);
  EXPECT_EQ(fault(R"({"__metadata__":"a"})", "").rule, FileRule::kMetadataNotStrings);
  EXPECT_EQ(fault(R"({"__metadata__":[null]})", "").rule, FileRule::kMetadataNotStrings);
}

TEST_F(SafetensorsHeaderTest, RefusesEntriesThatAreNotObjects) {
  for (const std::string_view value : {"1", "null", "\"s\"", "[]", "-1"}) {
    EXPECT_EQ(fault(R"({"a":)" + std::string(value) + "}", "").rule, FileRule::kEntryNotObject);
  }
}

TEST_F(SafetensorsHeaderTest, RefusesMissingFields) {
  const auto missing = [this](std::string_view fields) {
    const auto found = fault(R"({"a":{)" + std::string(fields) + "}}", "1");
    EXPECT_EQ(found.rule, FileRule::kMissingField);
    EXPECT_EQ(found.tensor, "a");
    return found.detail;
  };
  EXPECT_EQ(missing(R"("shape":[],"data_offsets":[0,1])"), "dtype");
  EXPECT_EQ(missing(R"("dtype":"U8","data_offsets":[0,1])"), "shape");
  EXPECT_EQ(missing(R"("dtype":"U8","shape":[])"), "data_offsets");
}

TEST_F(SafetensorsHeaderTest, DoesNotTakeFieldsFromTheTensorBefore) {
  const std::string first = R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"b":{)";
  const auto missing = [&](std::string_view fields) {
    const auto found = fault(first + std::string(fields) + "}}", "1");
    EXPECT_EQ(found.rule, FileRule::kMissingField) << fields;
    return found.detail;
  };
  EXPECT_EQ(missing(R"("shape":[0],"data_offsets":[1,1])"), "dtype");
  EXPECT_EQ(missing(R"("dtype":"U8","data_offsets":[0,1])"), "shape");
  EXPECT_EQ(missing(R"("dtype":"U8","shape":[])"), "data_offsets");
}

TEST_F(SafetensorsHeaderTest, RefusesFieldsOfAnotherType) {
  const auto wrong = [this](std::string_view fields) {
    const auto found = fault(R"({"a":{)" + std::string(fields) + "}}", "1");
    EXPECT_EQ(found.rule, FileRule::kFieldType) << fields;
    return found.detail;
  };
  EXPECT_EQ(wrong(R"("dtype":8)"), "dtype");
  EXPECT_EQ(wrong(R"("dtype":["U8"])"), "dtype");
  EXPECT_EQ(wrong(R"("dtype":{})"), "dtype");
  EXPECT_EQ(wrong(R"("shape":1)"), "shape");
  EXPECT_EQ(wrong(R"("shape":{})"), "shape");
  EXPECT_EQ(wrong(R"("shape":"1")"), "shape");
  EXPECT_EQ(wrong(R"("shape":[[1]])"), "shape");
  EXPECT_EQ(wrong(R"("shape":["1"])"), "shape");
  EXPECT_EQ(wrong(R"("shape":[-1])"), "shape");
  EXPECT_EQ(wrong(R"("shape":[1.0])"), "shape");
  EXPECT_EQ(wrong(R"("shape":[18446744073709551616])"), "shape");
  EXPECT_EQ(wrong(R"("shape":[null])"), "shape");
  EXPECT_EQ(wrong(R"("data_offsets":null)"), "data_offsets");
  EXPECT_EQ(wrong(R"("dtype":"U8","shape":[],"data_offsets":[0])"), "data_offsets");
  EXPECT_EQ(wrong(R"("dtype":"U8","shape":[],"data_offsets":[0,1,1])"), "data_offsets");
}

TEST_F(SafetensorsHeaderTest, RefusesUnknownDTypes) {
  const auto unknown = fault(R"({"a":{"dtype":"Q8","shape":[],"data_offsets":[0,1]}})", "1");
  EXPECT_EQ(unknown.rule, FileRule::kUnknownDType);
  EXPECT_EQ(unknown.tensor, "a");
  EXPECT_EQ(unknown.detail, "Q8");
}

TEST_F(SafetensorsHeaderTest, RefusesTooManyDimensions) {
  std::string header = R"({"a":{"dtype":"U8","shape":[1)";
  for (std::size_t axis = 0; axis < kMaxHeaderDimensions; ++axis) header += ",1";
  EXPECT_EQ(fault(header + R"(],"data_offsets":[0,1]}})", "1").rule, FileRule::kTooManyDimensions);
}

TEST_F(SafetensorsHeaderTest, RefusesTooManyKeys) {
  const auto keys = [](std::size_t count, std::string_view value) {
    std::string text = "{";
    for (std::size_t index = 0; index < count; ++index) {
      text += (index > 0 ? ",\"" : "\"") + std::to_string(index) + "\":" + std::string(value);
    }
    return text + "}";
  };
  EXPECT_EQ(open(R"({"__metadata__":)" + keys(kMaxHeaderKeys, "\"\"") + "}", "")
                .tensors.metadata()
                ->size(),
            kMaxHeaderKeys);
  const std::string above = keys(kMaxHeaderKeys + 1, "\"\"");
  EXPECT_EQ(fault(R"({"__metadata__":)" + above + "}", "").rule, FileRule::kTooManyKeys);
  EXPECT_EQ(fault(R"({"a":{"x":)" + above + "}}", "").rule, FileRule::kTooManyKeys);
  // Names and fields of tensors are not counted: the length of the header bounds them.
  EXPECT_EQ(fault(R"({"a":)" + above + "}", "").rule, FileRule::kMissingField);
}

}  // namespace
}  // namespace quarrow

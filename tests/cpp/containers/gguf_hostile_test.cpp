// SPDX-License-Identifier: Apache-2.0
//
// GGUF files that break a rule each.
#include <gtest/gtest.h>

#include <filesystem>

#include "containers/gguf_bytes.h"
#include "containers/gguf_container.h"
#include "containers/without_memory.h"
#include "quarrow/containers/header_limits.h"

namespace quarrow {
namespace {

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kQ80 = 8;
constexpr std::uint32_t kQ4K = 12;
constexpr std::uint64_t kHuge = std::uint64_t{1} << 60;

class GgufHostileTest : public GgufTest {
 protected:
  std::string rule_of_tensor(const std::string& tensor, std::string_view data = "1234") {
    return rule(gguf_bytes({}, {tensor}, data));
  }
};

TEST_F(GgufHostileTest, RefusesOtherVersionsAndTheOtherByteOrderByName) {
  for (const std::uint32_t version : {0U, 1U, 4U, 0x1234'5678U}) {
    const auto broken = fault(gguf_bytes({}, {}, {}, 32, version));
    EXPECT_EQ(broken.rule, FileRule::kGgufVersion);
    EXPECT_EQ(broken.detail, std::to_string(version));
    EXPECT_EQ(broken.position, 4U);
  }
  EXPECT_EQ(rule(gguf_bytes({}, {}, {}, 32, 0x0300'0000U)), "gguf_byte_order");
  EXPECT_EQ(rule(gguf_bytes({}, {}, {}, 32, 0x0200'0000U)), "gguf_byte_order");
}

TEST_F(GgufHostileTest, RefusesCountsThatTheFileCannotHold) {
  EXPECT_EQ(rule(gguf_start(3, kHuge, 0)), "count_past_end");
  EXPECT_EQ(rule(gguf_start(3, 0, kHuge)), "count_past_end");
  EXPECT_EQ(rule(gguf_start(3, ~std::uint64_t{0}, ~std::uint64_t{0})), "count_past_end");
  const auto keyed = [&](const std::string& key) { return gguf_bytes({key}, {}); };
  EXPECT_EQ(rule(keyed(number_bytes(kHuge))), "count_past_end");
  EXPECT_EQ(rule(keyed(gguf_key("k", ValueType::kText, number_bytes(kHuge)))), "count_past_end");
  for (const std::uint32_t type : {0U, 8U, 12U}) {
    const std::string list = number_bytes(type) + number_bytes(kHuge);
    const auto broken = fault(keyed(gguf_key("k", ValueType::kList, list)));
    EXPECT_EQ(broken.rule, FileRule::kCountPastEnd);
    EXPECT_EQ(broken.detail, "items of a list");
    EXPECT_EQ(broken.position, 24U + 9 + 4 + 4);
  }
  EXPECT_EQ(rule_of_tensor(number_bytes(kHuge) + std::string(17, 'x')), "count_past_end");
  const std::string dimensions = gguf_text("a") + number_bytes(~0U);
  EXPECT_EQ(rule_of_tensor(dimensions + std::string(12, '\0')), "count_past_end");
}

TEST_F(GgufHostileTest, RefusesAFileThatIsCutAnywhereInItsHeader) {
  const std::string list = number_bytes<std::uint32_t>(8) + number_bytes<std::uint64_t>(2) +
                           gguf_text("x") + gguf_text("longer");
  std::string whole = gguf_start(3, 1, 2) + gguf_key("k", ValueType::kList, list) +
                      gguf_key("n", ValueType::kU32, number_bytes(7)) +
                      gguf_tensor("a", {1}, kF32, 0);
  for (std::size_t length = 4; length < whole.size(); ++length) {
    const std::string broken = rule(std::string_view(whole).substr(0, length));
    EXPECT_TRUE(broken == "header_past_end" || broken == "count_past_end") << length << broken;
  }
}

TEST_F(GgufHostileTest, RefusesAHeaderBeyondTheCap) {
  // A sparse file is as long as it likes.
  const std::string path = folder_.write("model.gguf", gguf_start(3, 0, 1));
  std::filesystem::resize_file(path, 10 * kMaxHeaderBytes);
  const auto rule_of = [&](const std::string& key) {
    const File file(::open(path.c_str(), O_RDWR | O_CLOEXEC), path);
    file.write_at(key.data(), key.size(), 24);
    try {
      open_checkpoint(path, Io::kRead);
    } catch (const CheckpointFault& fault) {
      return std::string(name_of(fault.rule));
    }
    return std::string("accepted");
  };
  EXPECT_EQ(rule_of(gguf_key("k", ValueType::kText, number_bytes(2 * kMaxHeaderBytes))),
            "header_too_large");
  EXPECT_EQ(rule_of(gguf_key("k", ValueType::kText, number_bytes(kMaxHeaderBytes - 45))),
            "accepted");
}

TEST_F(GgufHostileTest, RefusesMoreTensorsKeysOrDimensionsThanAreRead) {
  EXPECT_EQ(
      rule(gguf_start(3, kMaxGgufTensors + 1, 0) + std::string(25 * (kMaxGgufTensors + 1), 'x')),
      "too_many_keys");
  const std::string key = gguf_key("", ValueType::kU8, "1");
  std::string keys;
  for (std::size_t index = 0; index <= kMaxHeaderKeys; ++index) keys += key;
  EXPECT_EQ(rule(gguf_start(3, 0, kMaxHeaderKeys + 1) + keys), "too_many_keys");
  const std::vector<std::uint64_t> ones(kMaxHeaderDimensions / 2 + 1, 1);
  EXPECT_EQ(rule(gguf_bytes({}, {gguf_tensor("a", ones, kF32, 0), gguf_tensor("b", ones, kF32, 32)},
                            "1234")),
            "too_many_dimensions");
}

TEST_F(GgufHostileTest, RefusesValuesThatGgmlDoesNotKnow) {
  const auto rule_of_value = [&](std::uint32_t type, const std::string& value) {
    return rule(gguf_bytes({gguf_key("k", type, value)}, {}));
  };
  EXPECT_EQ(rule_of_value(13, std::string(8, 'x')), "value_type");
  EXPECT_EQ(rule_of_value(~0U, std::string(8, 'x')), "value_type");
  EXPECT_EQ(rule_of_value(7, "\x02"), "bool_value");
  const std::string none = number_bytes<std::uint64_t>(0);
  EXPECT_EQ(rule_of_value(9, number_bytes<std::uint32_t>(9) + none), "nested_list");
  EXPECT_EQ(rule_of_value(9, number_bytes<std::uint32_t>(13) + none), "value_type");
  const std::string one = number_bytes<std::uint64_t>(1);
  EXPECT_EQ(rule_of_value(9, number_bytes<std::uint32_t>(7) + one + "\xff"), "bool_value");
}

TEST_F(GgufHostileTest, RefusesAlignmentsThatAreNone) {
  for (const std::uint32_t alignment : {0U, 3U, 24U, ~0U}) {
    EXPECT_EQ(rule(gguf_bytes({gguf_alignment_key(alignment)}, {})), "alignment") << alignment;
  }
  EXPECT_EQ(
      rule(gguf_bytes(
          {gguf_key("general.alignment", ValueType::kU64, number_bytes<std::uint64_t>(32))}, {})),
      "alignment");
  EXPECT_EQ(
      rule(gguf_bytes({gguf_key("general.alignment", ValueType::kText, gguf_text("32"))}, {})),
      "alignment");
}

TEST_F(GgufHostileTest, RefusesNamesThatOccurTwice) {
  const std::string key = gguf_key("k", ValueType::kU8, "1");
  const auto keys = fault(gguf_bytes({key, gguf_key("l", ValueType::kU8, "1"), key}, {}));
  EXPECT_EQ(keys.rule, FileRule::kDuplicateKey);
  EXPECT_EQ(keys.detail, "k");
  const auto tensors = fault(gguf_bytes(
      {}, {gguf_tensor("a", {1}, kF32, 0), gguf_tensor("a", {1}, kF32, 32)}, std::string(64, 'x')));
  EXPECT_EQ(tensors.rule, FileRule::kDuplicateKey);
  EXPECT_EQ(tensors.tensor, "a");
}

TEST_F(GgufHostileTest, RefusesNamesThatNobodyCanHave) {
  for (const std::string& name :
       {std::string(), std::string("a\0b", 3), std::string(kMaxGgufNameBytes + 1, 'n')}) {
    EXPECT_EQ(rule_of_tensor(gguf_tensor(name, {1}, kF32, 0)), "tensor_name");
  }
  for (const char* name : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe2\x82"}) {
    EXPECT_EQ(rule_of_tensor(gguf_tensor(name, {1}, kF32, 0)), "invalid_utf8") << name;
    EXPECT_EQ(rule(gguf_bytes({gguf_key(name, ValueType::kU8, "1")}, {})), "invalid_utf8");
  }
}

TEST_F(GgufHostileTest, RefusesTypesThatNeverWereOrAreNoMore) {
  for (const std::uint32_t type : {4U, 5U, 31U, 36U, 42U, ~0U}) {
    const auto broken = fault(gguf_bytes({}, {gguf_tensor("a", {1}, type, 0)}, "1234"));
    EXPECT_EQ(broken.rule, FileRule::kUnknownDType) << type;
    EXPECT_EQ(broken.tensor, "a");
    EXPECT_EQ(broken.detail, "ggml type " + std::to_string(type));
  }
}

TEST_F(GgufHostileTest, RefusesRowsThatAreNoWholeBlocks) {
  for (const std::vector<std::uint64_t>& dimensions :
       {std::vector<std::uint64_t>{33}, {16, 2}, {16, 0}, {}}) {
    const auto broken = fault(gguf_bytes({}, {gguf_tensor("a", dimensions, kQ80, 0)}, "1234"));
    EXPECT_EQ(broken.rule, FileRule::kPartialBlock);
    EXPECT_EQ(broken.detail, "Q8_0");
  }
  EXPECT_EQ(rule_of_tensor(gguf_tensor("a", {128, 2}, kQ4K, 0)), "partial_block");
}

TEST_F(GgufHostileTest, RefusesShapesThatOverflow) {
  for (const std::vector<std::uint64_t>& dimensions : {std::vector<std::uint64_t>{kHuge, kHuge},
                                                       {~std::uint64_t{0}},
                                                       {0, kHuge, kHuge},
                                                       {kHuge, kHuge, 0},
                                                       {std::uint64_t{1} << 63}}) {
    EXPECT_EQ(rule_of_tensor(gguf_tensor("a", dimensions, kF32, 0)), "shape_overflow");
    EXPECT_EQ(rule_of_tensor(gguf_tensor("a", dimensions, kQ80, 0)), "shape_overflow");
  }
}

TEST_F(GgufHostileTest, RefusesDataThatIsNotWhereItMustBe) {
  const auto second = [&](std::uint64_t offset) {
    return fault(gguf_bytes({},
                            {gguf_tensor("a", {9}, kF32, 0), gguf_tensor("b", {1}, kF32, offset)},
                            std::string(128, 'x')));
  };
  EXPECT_EQ(second(40).rule, FileRule::kMisaligned);
  EXPECT_EQ(second(0).rule, FileRule::kOverlap);
  EXPECT_EQ(second(32).rule, FileRule::kOverlap);
  EXPECT_EQ(second(32).tensor, "b");
  EXPECT_EQ(second(96).rule, FileRule::kHole);
  EXPECT_EQ(second(~std::uint64_t{31}).rule, FileRule::kHole);
  EXPECT_EQ(rule_of_tensor(gguf_tensor("a", {1}, kF32, 32), std::string(64, 'x')), "hole");
  // In another order than that of the header.
  EXPECT_EQ(rule(gguf_bytes({}, {gguf_tensor("a", {1}, kF32, 32), gguf_tensor("b", {1}, kF32, 0)},
                            std::string(64, 'x'))),
            "hole");
}

TEST_F(GgufHostileTest, RefusesDataBeyondTheEnd) {
  const auto past = fault(gguf_bytes({}, {gguf_tensor("a", {2}, kF32, 0)}, "1234567"));
  EXPECT_EQ(past.rule, FileRule::kOffsetsPastEnd);
  EXPECT_EQ(past.tensor, "a");
  EXPECT_EQ(rule_of_tensor(gguf_tensor("a", {kHuge / 8}, kF32, 0)), "offsets_past_end");
  // The header itself ends with the file.
  std::string cut = gguf_bytes({}, {gguf_tensor("a", {1}, kF32, 0)});
  EXPECT_EQ(rule(cut), "offsets_past_end");
  cut.resize(24 + 37);
  EXPECT_EQ(rule(cut), "offsets_past_end");
}

TEST_F(GgufHostileTest, IsReadOrNotWhereThereIsNoMemory) {
  const std::string list = number_bytes<std::uint32_t>(8) + number_bytes<std::uint64_t>(1) +
                           gguf_text("a text that no string holds by itself");
  const std::string path = folder_.write(
      "a.gguf",
      gguf_bytes({gguf_key("a key that is not short", ValueType::kList, list)},
                 {gguf_tensor("model.layers.0.self_attn.q_proj.weight", {1}, kF32, 0)}, "1234"));
  const int before = open_descriptors();
  const int thrown = without_memory([&] { return open_checkpoint(path, Io::kRead); },
                                    [](const Checkpoint& opened) {
                                      ASSERT_EQ(opened.tensors.size(), 1U);
                                      EXPECT_EQ(opened.tensors.metadata()->size(), 1U);
                                    });
  EXPECT_GT(thrown, 8);
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace quarrow

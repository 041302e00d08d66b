// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "containers/failing_calls.h"
#include "containers/safetensors_index.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/safetensors.h"
#include "test_files.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;

constexpr std::string_view kIndexName = "model.safetensors.index.json";

class CheckpointTest : public ::testing::Test {
 protected:
  void write_shard(std::string_view name, std::string_view tensor, std::string_view data) {
    const std::string header = "{\"" + std::string(tensor) + "\":{\"dtype\":\"U8\",\"shape\":[" +
                               std::to_string(data.size()) + "],\"data_offsets\":[0," +
                               std::to_string(data.size()) + "]}}";
    folder_.write(name, safetensors_bytes(header, data));
  }
  Checkpoint open(Io io = Io::kRead) { return open_checkpoint(folder_ / kIndexName, io); }
  FileRule rule_of(std::string_view index) {
    folder_.write(kIndexName, index);
    try {
      open();
    } catch (const CheckpointFault& fault) {
      return fault.rule;
    }
    throw std::runtime_error("the index was accepted");
  }
  static std::string bytes_of(const Checkpoint& checkpoint, std::string_view name) {
    const TensorEntry& tensor = *checkpoint.tensors.find(name);
    std::string buffer(tensor.bytes(), '\0');
    const std::byte* data = checkpoint.read(tensor, 0, tensor.bytes(), buffer.data());
    return {reinterpret_cast<const char*>(data), tensor.bytes()};
  }

  TestFolder folder_;
};

TEST_F(CheckpointTest, IsAllShardsInTheOrderOfTheirNames) {
  write_shard("b.safetensors", "x", "one");
  write_shard("a.safetensors", "y", "two!");
  folder_.write(kIndexName, R"({"weight_map": {"x": "b.safetensors", "y": "a.safetensors"}})");
  for (const Io io : {Io::kRead, Io::kMap}) {
    const Checkpoint checkpoint = open(io);
    ASSERT_EQ(checkpoint.tensors.size(), 2U);
    EXPECT_EQ(checkpoint.tensors[0].name, "y");
    EXPECT_EQ(bytes_of(checkpoint, "x"), "one");
    EXPECT_EQ(bytes_of(checkpoint, "y"), "two!");
    EXPECT_EQ(checkpoint.files.size(), 2U);
    EXPECT_EQ(checkpoint.file_bytes(), read_bytes(folder_ / "a.safetensors").size() +
                                           read_bytes(folder_ / "b.safetensors").size());
    checkpoint.check_unchanged();
  }
}

TEST_F(CheckpointTest, RefusesAnIndexThatLies) {
  write_shard("a.safetensors", "x", "one");
  EXPECT_EQ(rule_of(R"({"weight_map": {"x": "../a.safetensors"}})"), FileRule::kShardName);
  EXPECT_EQ(rule_of(R"({"weight_map": {"x": "b.safetensors"}})"), FileRule::kShardMissing);
  EXPECT_EQ(rule_of(R"({"weight_map": {"y": "a.safetensors"}})"), FileRule::kTensorMissing);
  EXPECT_EQ(rule_of(R"({"weight_map": {"x": "a.safetensors", "y": "a.safetensors"}})"),
            FileRule::kTensorMissing);
  EXPECT_EQ(rule_of(R"({"weight_map": {"x": 1}})"), FileRule::kIndexMap);
  EXPECT_EQ(rule_of(R"({"weight_map": {"x": "a.safetensors", "x": "a.safetensors"}})"),
            FileRule::kDuplicateKey);
  EXPECT_EQ(rule_of(R"({"metadata": {}})"), FileRule::kIndexMap);
  EXPECT_EQ(rule_of("[1]"), FileRule::kIndexMap);
  EXPECT_EQ(rule_of("1"), FileRule::kIndexMap);
  EXPECT_EQ(rule_of(std::string(200, '[')), FileRule::kIndexMap);
  EXPECT_EQ(rule_of(R"({"m": )" + std::string(200, '[')), FileRule::kTooDeep);
  EXPECT_EQ(rule_of(R"({"weight_map": {"x": "a.safetensors")"), FileRule::kInvalidJson);
  EXPECT_EQ(rule_of(std::string("{\"weight_map\": {\"x\0\": \"a\"}}", 26)), FileRule::kHeaderNul);
}

// Published overlays: stale copies stay in the shards that they were published in.
TEST_F(CheckpointTest, OfTwoCopiesTakesTheOneThatTheIndexNames) {
  for (const char* shard : {"a.safetensors", "b.safetensors"}) {
    write_shard(shard, "x", shard);
    write_shard("c.safetensors", "y", "other");
    folder_.write(kIndexName, R"({"weight_map": {"x": ")" + std::string(shard) +
                                  R"(", "y": "c.safetensors"}})");
    const Checkpoint checkpoint = open();
    EXPECT_EQ(bytes_of(checkpoint, "x"), shard);
    EXPECT_EQ(checkpoint.tensors.size(), 2U);
    EXPECT_EQ(checkpoint.unlisted, 0U);
  }
}

TEST_F(CheckpointTest, LeavesOutWhatTheIndexDoesNotPlaceThere) {
  const std::string header = R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                             R"("y":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},)"
                             R"("z":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})";
  folder_.write("a.safetensors", safetensors_bytes(header, "123"));
  write_shard("b.safetensors", "z", "new");
  folder_.write(kIndexName, R"({"weight_map": {"y": "a.safetensors", "z": "b.safetensors"}})");
  const Checkpoint checkpoint = open();
  EXPECT_EQ(checkpoint.tensors.size(), 2U);
  EXPECT_EQ(checkpoint.tensors.find("x"), nullptr);
  EXPECT_EQ(bytes_of(checkpoint, "y"), "2");
  EXPECT_EQ(bytes_of(checkpoint, "z"), "new");
  EXPECT_EQ(checkpoint.unlisted, 2U);
  checkpoint.check_unchanged();
}

TEST_F(CheckpointTest, SetsAsideMetadataThatDiffersBetweenShards) {
  const auto write = [&](const std::string& name, const std::string& metadata) {
    const std::string header = R"({"__metadata__":{)" + metadata + R"(},")" + name +
                               R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
    folder_.write(name + ".safetensors", safetensors_bytes(header, "1"));
  };
  write("a", R"("format":"pt","own":"1","once":"1","twice":"1")");
  write("b", R"("format":"pt","own":"2","twice":"1")");
  write("c", R"("format":"pt","own":"1")");
  folder_.write(kIndexName, R"({"weight_map": {"a": "a.safetensors", "b": "b.safetensors",)"
                            R"("c": "c.safetensors"}})");
  const Checkpoint checkpoint = open();
  using Item = TensorTable::Metadata::value_type;
  EXPECT_THAT(*checkpoint.tensors.metadata(),
              ElementsAre(Item("format", "pt"), Item("once", "1"), Item("twice", "1")));
  EXPECT_THAT(checkpoint.differing_metadata, ElementsAre(Item("own", "1"), Item("own", "2")));
  write("a", R"("own":"3")");
  write("c", R"("own":"1")");
  write("b", R"("own":"2")");
  EXPECT_FALSE(open().tensors.metadata());
  EXPECT_EQ(open().differing_metadata.size(), 3U);
}

TEST_F(CheckpointTest, RefusesAnIndexOfOtherThanNames) {
  write_shard("a.safetensors", "x", "one");
  for (const char* name : {"", ".", "..", "a/b"}) {
    EXPECT_EQ(rule_of(R"({"weight_map": {"x": ")" + std::string(name) + R"("}})"),
              FileRule::kShardName)
        << name;
  }
  for (const char* map :
       {"[]", R"("x")", "1", R"({"x": {"y": "a.safetensors"}})", R"({"x": []})"}) {
    EXPECT_EQ(rule_of(R"({"weight_map": )" + std::string(map) + "}"), FileRule::kIndexMap) << map;
  }
  EXPECT_EQ(rule_of(R"({"weight_map": {"": "a.safetensors"}})"), FileRule::kTensorMissing);
  EXPECT_EQ(rule_of("{\"weight_map\": {\"\xff\": \"a\"}}"), FileRule::kInvalidUtf8);
  std::string deep;
  for (int depth = 0; depth < 100; ++depth) deep += R"({"m":)";
  EXPECT_EQ(rule_of(deep), FileRule::kTooDeep);
  EXPECT_EQ(rule_of("<html>"), FileRule::kHtml);
}

TEST_F(CheckpointTest, RefusesAnIndexThatIsTooLong) {
  const std::string path = folder_.write(kIndexName, R"({"weight_map": {)");
  std::filesystem::resize_file(path, kMaxHeaderBytes + 1);
  try {
    open();
    FAIL() << "it was read";
  } catch (const CheckpointFault& fault) {
    EXPECT_EQ(fault.rule, FileRule::kHeaderTooLarge);
  }
}

TEST_F(CheckpointTest, RefusesATensorInAnotherShardThanListed) {
  write_shard("a.safetensors", "x", "one");
  write_shard("b.safetensors", "y", "two");
  EXPECT_EQ(rule_of(R"({"weight_map": {"x": "b.safetensors", "y": "a.safetensors"}})"),
            FileRule::kTensorMissing);
}

TEST_F(CheckpointTest, JoinsTheMetadataOfShards) {
  const auto write = [&](std::string_view name, std::string_view tensor,
                         std::string_view metadata) {
    folder_.write(name,
                  safetensors_bytes(R"({"__metadata__":)" + std::string(metadata) + ",\"" +
                                        std::string(tensor) +
                                        R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                                    "1"));
  };
  const char* index = R"({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}})";
  folder_.write(kIndexName, index);
  write("a.safetensors", "x", R"({"format":"pt"})");
  write("b.safetensors", "y", R"({"format":"pt","more":"of it"})");
  const Checkpoint checkpoint = open();
  EXPECT_THAT(*checkpoint.tensors.metadata(),
              ElementsAre(TensorTable::Metadata::value_type("format", "pt"),
                          TensorTable::Metadata::value_type("more", "of it")));
  std::uint64_t data_bytes = 0;
  for (const TensorEntry& tensor : checkpoint.tensors.entries()) data_bytes += tensor.bytes();
  const std::uint64_t lengths = checkpoint.files.size() * sizeof(std::uint64_t);
  EXPECT_EQ(lengths + checkpoint.header_bytes() + data_bytes, checkpoint.file_bytes());
}

TEST_F(CheckpointTest, AShardThatCannotBeOpenedIsAnErrorOfTheSystem) {
  std::filesystem::create_symlink("a.safetensors", folder_ / "a.safetensors");
  folder_.write(kIndexName, R"({"weight_map": {"x": "a.safetensors"}})");
  EXPECT_THROW(open(), std::filesystem::filesystem_error);
}

TEST_F(CheckpointTest, RefusesAnIndexOfMoreThanCanBe) {
  const auto index = [](std::size_t tensors, bool one_file) {
    std::string text = "{\"weight_map\":{";
    for (std::size_t tensor = 0; tensor < tensors; ++tensor) {
      const std::string name = std::to_string(tensor);
      text.append(tensor == 0 ? "\"" : ",\"").append(name).append("\":\"");
      text.append(one_file ? "a" : name).append("\"");
    }
    return text + "}}";
  };
  EXPECT_EQ(rule_of(index(kMaxIndexTensors, true)), FileRule::kShardMissing);
  EXPECT_EQ(rule_of(index(kMaxIndexTensors + 1, true)), FileRule::kTooManyKeys);
  EXPECT_EQ(rule_of(index(kMaxIndexFiles, false)), FileRule::kShardMissing);
  EXPECT_EQ(rule_of(index(kMaxIndexFiles + 1, false)), FileRule::kTooManyKeys);
  std::string others = "{\"metadata\":{";
  for (std::size_t key = 0; key < kMaxHeaderKeys; ++key)
    others += "\"" + std::to_string(key) + "\":0,";
  EXPECT_EQ(rule_of(others), FileRule::kTooManyKeys);
}

TEST_F(CheckpointTest, RefusesAShardOfAnotherContainer) {
  folder_.write("a.safetensors", "GGUF");
  EXPECT_EQ(rule_of(R"({"weight_map": {"x": "a.safetensors"}})"), FileRule::kGguf);
  EXPECT_EQ(rule_of("GGUF"), FileRule::kGguf);
}

TEST_F(CheckpointTest, KnowsEveryFileOfItAndItsIndex) {
  write_shard("a.safetensors", "x", "one");
  const std::string index = folder_.write(kIndexName, R"({"weight_map": {"x": "a.safetensors"}})");
  const auto all = open().identities();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_TRUE(all[0].same_file(*identity_at(folder_ / "a.safetensors")));
  EXPECT_TRUE(all[1].same_file(*identity_at(index)));
  EXPECT_EQ(open_checkpoint(folder_ / "a.safetensors", Io::kRead).identities().size(), 1U);
}

TEST_F(CheckpointTest, NoticesAnotherSetThatTakesItsPlace) {
  write_shard("a.safetensors", "x", "one");
  const std::string index = folder_.write(kIndexName, R"({"weight_map": {"x": "a.safetensors"}})");
  // Whatever the shards look like by then: the index is set aside before any of them is replaced.
  for (const char* tensor : {"x", "y"}) {
    write_shard("a.safetensors", tensor, "one");
    const BeforeCall away(Call::kOpen, 2, [&] { std::filesystem::rename(index, index + ".old"); });
    try {
      open();
      FAIL() << "files of two sets were taken for one";
    } catch (const CheckpointFault& fault) {
      EXPECT_EQ(fault.rule, FileRule::kChanged);
    }
    std::filesystem::rename(index + ".old", index);
  }
}

TEST_F(CheckpointTest, NoticesAFileThatChanged) {
  write_shard("a.safetensors", "x", "one");
  const std::string path = folder_ / "a.safetensors";
  const Checkpoint read = open_checkpoint(path, Io::kRead);
  const Checkpoint mapped = open_checkpoint(path, Io::kMap);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  for (const Checkpoint* checkpoint : {&read, &mapped}) {
    try {
      bytes_of(*checkpoint, "x");
      FAIL() << "it was read";
    } catch (const CheckpointFault& fault) {
      EXPECT_EQ(fault.rule, FileRule::kShrank);
      EXPECT_EQ(fault.position, std::filesystem::file_size(path));
    }
    EXPECT_THROW(checkpoint->check_unchanged(), CheckpointFault);
  }
}

TEST_F(CheckpointTest, AMappedFileThatGrewOrLostAllOfATensorIsNotRead) {
  write_shard("a.safetensors", "x", "one");
  const std::string path = folder_ / "a.safetensors";
  const std::uintmax_t bytes = std::filesystem::file_size(path);
  const Checkpoint mapped = open_checkpoint(path, Io::kMap);
  const auto rule = [&] {
    try {
      bytes_of(mapped, "x");
    } catch (const CheckpointFault& fault) {
      return fault.rule;
    }
    throw std::runtime_error("it was read");
  };
  std::filesystem::resize_file(path, bytes + 1);
  EXPECT_EQ(rule(), FileRule::kChanged);
  std::filesystem::resize_file(path, bytes - 3);
  EXPECT_EQ(rule(), FileRule::kShrank);
}

TEST_F(CheckpointTest, ClosesItsFiles) {
  write_shard("a.safetensors", "x", "one");
  const int before = open_descriptors();
  Checkpoint mapped = open_checkpoint(folder_ / "a.safetensors", Io::kMap);
  mapped.close();
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(CheckpointTest, LiesInMemoryWhereItIs) {
  const std::string data = "abcdef";
  const std::array<std::uint64_t, 2> shape = {2, 3};
  const std::array<std::uint64_t, 1> none = {0};
  const auto bytes = std::as_bytes(std::span(data));
  const TensorInMemory tensors[] = {{"z", ElementType::kU8, shape, bytes},
                                    {"a", ElementType::kF32, none, {}}};
  const Checkpoint checkpoint = checkpoint_in_memory(tensors, {{"key", "value"}});
  EXPECT_EQ(checkpoint.tensors[0].name, "z");
  EXPECT_EQ(checkpoint.read(checkpoint.tensors[0], 2, 3, nullptr), bytes.data() + 2);
  EXPECT_THAT(*checkpoint.tensors.metadata(),
              ElementsAre(TensorTable::Metadata::value_type("key", "value")));
  checkpoint.check_unchanged();
  const TensorInMemory wrong{"z", ElementType::kF32, shape, bytes};
  EXPECT_THROW(checkpoint_in_memory({&wrong, 1}, {}), std::invalid_argument);
  const TensorInMemory twice[] = {tensors[0], tensors[0]};
  EXPECT_THROW(checkpoint_in_memory(twice, {}), std::invalid_argument);
}

}  // namespace
}  // namespace quarrow

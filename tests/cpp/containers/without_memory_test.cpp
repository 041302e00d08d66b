// SPDX-License-Identifier: Apache-2.0
//
// The JSON of headers and indices where there is no memory for it.
#include "containers/without_memory.h"

#include <gtest/gtest.h>

#include <string>

#include "containers/safetensors_index.h"
#include "containers/test_files.h"
#include "quarrow/containers/checkpoint.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/safetensors.h"

namespace quarrow {
namespace {

// Longer than what a string holds without an allocation.
constexpr std::string_view kName = "model.layers.0.self_attn.q_proj.weight";

std::string header_of(std::string_view name) {
  return R"({"__metadata__":{"a key that is not short":"nor is its value, by far"},")" +
         std::string(name) +
         R"(":{"a field of no use here":[{"x":[1,"and a string in it, which is long"]}],)"
         R"("dtype":"U8","shape":[1,3],"data_offsets":[0,3]}})";
}

// The rule that a file breaks.
FileRule broken_rule(const std::string& path) {
  try {
    open_checkpoint(path, Io::kRead);
  } catch (const CheckpointFault& fault) {
    return fault.rule;
  }
  throw std::runtime_error("the file was accepted");
}

TEST(WithoutMemory, AHeaderIsReadOrNot) {
  const TestFolder folder;
  const std::string path = folder.write("a", safetensors_bytes(header_of(kName), "one"));
  const int before = open_descriptors();
  const int thrown = without_memory([&] { return open_checkpoint(path, Io::kRead); },
                                    [](const Checkpoint& opened) {
                                      ASSERT_EQ(opened.tensors.size(), 1U);
                                      EXPECT_EQ(opened.tensors[0].name, kName);
                                      EXPECT_EQ(opened.tensors[0].bytes(), 3U);
                                      EXPECT_EQ(opened.tensors.metadata()->size(), 1U);
                                    });
  EXPECT_GT(thrown, 10);
  EXPECT_EQ(open_descriptors(), before);
}

TEST(WithoutMemory, AnIndexAndItsShardsAreReadOrNot) {
  const TestFolder folder;
  folder.write("a-shard-of-a-long-name.safetensors", safetensors_bytes(header_of(kName), "one"));
  folder.write("another-shard.safetensors",
               safetensors_bytes(header_of(std::string(kName) + ".2"), "two"));
  const std::string path = folder.write(
      "index.json", R"({"metadata":{"of no use":[1.5,{"a name of some length here":"b"}]},)"
                    R"("weight_map":{")" +
                        std::string(kName) + R"(":"a-shard-of-a-long-name.safetensors",")" +
                        std::string(kName) + R"(.2":"another-shard.safetensors"}})");
  const int before = open_descriptors();
  const int thrown = without_memory([&] { return open_checkpoint(path, Io::kRead); },
                                    [](const Checkpoint& opened) {
                                      ASSERT_EQ(opened.tensors.size(), 2U);
                                      EXPECT_EQ(opened.tensors[0].name, kName);
                                      EXPECT_EQ(opened.files.size(), 2U);
                                    });
  EXPECT_GT(thrown, 30);
  EXPECT_EQ(open_descriptors(), before);
}

TEST(WithoutMemory, WhatIsWrongWithAFileIsToldOrNot) {
  const TestFolder folder;
  const std::string header = header_of(kName);
  const std::string broken = folder.write("broken", safetensors_bytes(header + ",", "one"));
  const std::string lying = folder.write("lying", safetensors_bytes(header, "two bytes more"));
  const std::string no_json = folder.write("index.json", R"({"weight_map":{"some name":)");
  const auto rule_is = [](FileRule expected) {
    return [expected](FileRule rule) { EXPECT_EQ(name_of(rule), name_of(expected)); };
  };
  EXPECT_GT(without_memory([&] { return broken_rule(broken); }, rule_is(FileRule::kInvalidJson)),
            10);
  EXPECT_GT(without_memory([&] { return broken_rule(lying); }, rule_is(FileRule::kTrailingBytes)),
            10);
  EXPECT_GT(without_memory([&] { return broken_rule(no_json); }, rule_is(FileRule::kInvalidJson)),
            5);
}

TEST(WithoutMemory, AnIndexIsWrittenOrNot) {
  const std::vector<std::string> files = {"a-shard-of-a-long-name.safetensors"};
  const std::vector<SafetensorsIndex::Entry> entries = {{kName, 0}, {"b \"quoted\"", 0}};
  const std::string expected = index_text(files, entries, 12);
  const int thrown = without_memory([&] { return index_text(files, entries, 12); },
                                    [&](const std::string& text) { EXPECT_EQ(text, expected); });
  EXPECT_GT(thrown, 5);
}

}  // namespace
}  // namespace quarrow

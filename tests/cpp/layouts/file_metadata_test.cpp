// SPDX-License-Identifier: Apache-2.0
#include "quarrow/layouts/file_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "layouts/table_of.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

using enum ElementType;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;
using Item = TensorTable::Metadata::value_type;
using nlohmann::json;

class FileMetadata : public ::testing::Test {
 protected:
  // Four layers: for ComfyUI, for compressed-tensors, of nobody's scheme, and of floats.
  void SetUp() override {
    tensors_ = {{"c.weight", kF8E4M3},
                {"c.weight_scale", kF32, {}},
                {"p.weight_packed", kI32},
                {"p.weight_scale"},
                {"i.weight", kI8},
                {"i.weight_scale"},
                {"f.weight"}};
  }
  std::optional<TensorTable::Metadata> after(const TensorTable::Metadata& before,
                                             const ChangedTensors& changed) {
    source_.tensors = table_of(tensors_, before);
    const DialectLayers dialects(source_.tensors);
    return metadata_after(source_, dialects, changed, memory_);
  }
  // The value of one key after a change; empty when it is gone.
  std::string value_after(std::string_view key, const std::string& value,
                          const ChangedTensors& changed) {
    const auto all = after({{key, value}, {"other", "stays"}}, changed);
    EXPECT_EQ(all->back(), Item("other", "stays"));
    return all->size() == 2 ? std::string(all->front().second.text()) : std::string();
  }

  std::vector<NamedTensor> tensors_;
  Checkpoint source_;
  std::pmr::monotonic_buffer_resource memory_;
};

TEST_F(FileMetadata, StaysWhereNothingChanges) {
  const TensorTable::Metadata all = {{"_quantization_metadata", R"({"layers": {"x": {}}})"},
                                     {"modelspec.hash_sha256", "0a"}};
  EXPECT_EQ(after(all, {}), all);
  EXPECT_EQ(after({}, {.layers = {"f.weight"}, .any = true}), std::nullopt);
}

TEST_F(FileMetadata, OfComfyUiNamesTheLayersThatAreStillCodes) {
  const std::string list =
      R"({"format_version": "1.0", "layers": {"c": {"format": "float8_e4m3fn"},
          "i": {"format": "int8_tensorwise"}, "f": {"format": "nvfp4"}, "gone": {"x": 1.5}}})";
  EXPECT_EQ(
      json::parse(
          value_after("_quantization_metadata", list, {.layers = {"i.weight"}, .any = true})),
      json::parse(R"({"format_version": "1.0", "layers": {"c": {"format": "float8_e4m3fn"}}})"));
  EXPECT_EQ(value_after("_quantization_metadata", R"({"layers": {"i": {}}})",
                        {.layers = {"i.weight"}, .any = true}),
            "");
  const std::string right = R"({"layers":  {"c": {}}})";
  EXPECT_EQ(value_after("_quantization_metadata", right, {.layers = {"f.weight"}, .any = true}),
            right);
}

TEST_F(FileMetadata, OfCompressedTensorsNamesTheLayersThatStay) {
  const std::string config = R"({"quant_method": "compressed-tensors", "config_groups": {
      "a": {"targets": ["p", "gone.x"], "weights": {"num_bits": 3}},
      "b": {"targets": ["i"], "weights": {"num_bits": 8}}}, "ignore": []})";
  EXPECT_EQ(json::parse(
                value_after("quantization_config", config, {.layers = {"i.weight"}, .any = true})),
            json::parse(R"({"quant_method": "compressed-tensors", "config_groups": {
      "a": {"targets": ["p"], "weights": {"num_bits": 3}}}, "ignore": []})"));
  EXPECT_EQ(value_after("quantization_config", config,
                        {.layers = {"i.weight", "p.weight", "c.weight"}, .any = true}),
            "");
  const std::string ours = R"({"i.weight": {"dtype": "F16"}, "p.weight": {"dtype": "F32"}})";
  EXPECT_EQ(json::parse(value_after("quarrow.layers", ours, {.layers = {"i.weight"}, .any = true})),
            json::parse(R"({"p.weight": {"dtype": "F32"}})"));
  EXPECT_EQ(value_after("quarrow.layers", ours, {.layers = {"i.weight", "p.weight"}, .any = true}),
            "");
}

TEST_F(FileMetadata, OfModelsThatAreFloatByNowIsGone) {
  tensors_ = {{"p.weight"}, {"i.weight"}};
  const ChangedTensors changed = {.layers = {"i.weight"}, .any = true};
  for (
      const std::string config :
      {R"({"quant_method": "compressed-tensors", "config_groups": {"a": {"targets": ["p.x"]}}})",
       R"({"quant_method": "compressed-tensors", "config_groups": {"a": {"targets": ["Linear"]}}})",
       R"({"quant_method": "gptq", "bits": 4})"}) {
    EXPECT_EQ(value_after("quantization_config", config, changed), "") << config;
  }
  tensors_ = {{"p.qweight", kI32}, {"p.scales"}, {"i.weight"}};
  const std::string gptq = R"({"quant_method":  "gptq"})";
  EXPECT_EQ(value_after("quantization_config", gptq, changed), gptq);
}

TEST_F(FileMetadata, ThatCannotBeReadStays) {
  const ChangedTensors changed = {.layers = {"f.weight"}, .any = true};
  for (const std::string_view key : {"_quantization_metadata", "quarrow.layers", "tensor_names"}) {
    EXPECT_EQ(value_after(key, "no JSON {", changed), "no JSON {");
    EXPECT_EQ(value_after(key, "[[]]", changed), "[[]]");
  }
}

TEST_F(FileMetadata, OfTorchaoForgetsTensorsThatAreOthersNow) {
  const auto all = after(
      {{"tensor_names", R"(["f.weight", "c.weight"])"}, {"f.weight", "{}"}, {"c.weight", "{}"}},
      {.layers = {"f.weight"}, .any = true});
  EXPECT_THAT(*all, ElementsAre(Item("tensor_names", R"(["c.weight"])"), Item("c.weight", "{}")));
  // Elsewhere a key that is called like a tensor is the caller's.
  EXPECT_EQ(value_after("f.weight", "a note", {.layers = {"f.weight"}, .any = true}), "a note");
}

TEST_F(FileMetadata, OfOtherTypesStaysAsItIs) {
  const MetadataValue number(ValueType::kU32, "1234");
  const TensorTable::Metadata all = {{"_quantization_metadata", number}, {"tensor_names", number}};
  EXPECT_EQ(after(all, {.layers = {"c.weight"}, .any = true}), all);
}

TEST_F(FileMetadata, OfTheOldBytesIsGone) {
  for (const std::string_view key : {"modelspec.hash_sha256", "DCP_SHARDING_INFO"}) {
    EXPECT_EQ(value_after(key, "0a", {.layers = {}, .any = true}), "") << key;
  }
  EXPECT_EQ(value_after("sshs_model_hash", "0a", {.layers = {}, .any = true}), "0a");
}

TEST_F(FileMetadata, OfShardsForComfyUiIsJoined) {
  source_.differing_metadata = {
      {"_quantization_metadata", R"({"layers": {"c": {"format": "a"}}})"},
      {"own", "1"},
      {"_quantization_metadata", R"({"layers": {"i": {"format": "b"}}})"}};
  const auto all = after({{"k", "v"}}, {.layers = {"i.weight"}, .any = true});
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ(json::parse((*all)[1].second.text())["layers"],
            json::parse(R"({"c": {"format": "a"}})"));
}

TEST_F(FileMetadata, OfShardsThatDescribeLayersInOtherWaysIsRefused) {
  source_.path = "index";
  source_.differing_metadata = {{"own", "1"}, {"own", "2"}};
  check_descriptions(source_);
  source_.differing_metadata = {{"quantization_config", "1"}, {"quantization_config", "2"}};
  try {
    check_descriptions(source_);
    FAIL() << "it was accepted";
  } catch (const CheckpointFault& fault) {
    EXPECT_EQ(fault.rule, FileRule::kMetadataConflict);
    EXPECT_EQ(fault.detail, "quantization_config");
  }
}

// accelerate refuses a file with metadata that does not say "format".
TEST_F(FileMetadata, ThatIsNewSaysWhichFrameworksTensorsTheseAre) {
  const auto completed = [&](std::optional<TensorTable::Metadata> before,
                             std::optional<TensorTable::Metadata> metadata) {
    source_.tensors = table_of(tensors_);
    if (before) source_.tensors.set_metadata(*before);
    complete_metadata(source_, source_.tensors, spec_of(Container::kSafetensors), metadata,
                      memory_);
    return metadata;
  };
  using Metadata = TensorTable::Metadata;
  const Item format("format", "pt");
  EXPECT_EQ(completed({}, {}), std::nullopt);
  EXPECT_EQ(completed({}, Metadata{{"k", "v"}}), (Metadata{{"k", "v"}, format}));
  EXPECT_EQ(completed({}, Metadata{{"format", "tf"}}), (Metadata{{"format", "tf"}}));
  EXPECT_EQ(completed(Metadata{{"k", "v"}}, Metadata{{"k", "v"}}), (Metadata{{"k", "v"}}));
  EXPECT_EQ(completed(Metadata{{"k", "v"}}, Metadata{{"k", "w"}}), (Metadata{{"k", "w"}, format}));
  EXPECT_EQ(completed(Metadata{{"k", "v"}}, Metadata{}), std::nullopt);
  EXPECT_EQ(completed(Metadata{}, Metadata{}), Metadata{});
}

}  // namespace
}  // namespace quarrow

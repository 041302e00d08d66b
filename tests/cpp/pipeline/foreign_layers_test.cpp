// SPDX-License-Identifier: Apache-2.0
//
// Files that other programs wrote: what is restored, and what stays as it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "containers/test_files.h"
#include "pipeline/test_checkpoint.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow {
namespace {

using enum ElementType;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

std::string f32(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}
std::string i32(const std::vector<std::uint32_t>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(std::uint32_t)};
}
std::string i64(const std::vector<std::int64_t>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(std::int64_t)};
}

class ForeignLayers : public ::testing::Test {
 protected:
  const Checkpoint& opened() {
    folder_.write("in.safetensors", source_.bytes());
    checkpoint_ = open_checkpoint(folder_ / "in.safetensors", Io::kRead);
    return checkpoint_;
  }
  // Restores the file; its tensors by name.
  Checkpoint restored(std::optional<DType> dtype = std::nullopt) {
    const Checkpoint& file = opened();
    layers_ = find_stored_layers(file);
    FilePlan plan = plan_restored(file, layers_, {.dtype = dtype});
    Context context;
    context.executor = &default_executor();
    context.target = *default_target();
    context.threads = 2;
    EXPECT_TRUE(run_file_job(file, plan, folder_ / "out", {.sync = false}, context).finished);
    return open_checkpoint(folder_ / "out", Io::kRead);
  }
  std::vector<float> values(const Checkpoint& file, std::string_view name) {
    const TensorEntry* tensor = file.tensors.find(name);
    if (tensor == nullptr || tensor->dtype != kF32) return {};
    std::vector<float> result(tensor->bytes() / sizeof(float));
    file.read(*tensor, 0, tensor->bytes(), result.data());
    return result;
  }
  FileRule fault() {
    try {
      find_stored_layers(opened());
    } catch (const CheckpointFault& caught) {
      return caught.rule;
    }
    throw std::runtime_error("it was accepted");
  }
  void add_comfy(const std::string& description, const std::string& scales,
                 const std::vector<std::int64_t>& shape) {
    source_.tensors.clear();
    source_.add("l.weight", kI8, {2, 3}, std::string("\1\2\3\xff\xfe\x80", 6));
    source_.add("l.weight_scale", kF32, shape, scales);
    if (!description.empty()) {
      source_.add("l.comfy_quant", kU8, {static_cast<std::int64_t>(description.size())},
                  description);
    }
  }
  void write_config(const std::string& text) { folder_.write("config.json", text); }

  TestFolder folder_;
  TestCheckpoint source_;
  Checkpoint checkpoint_;
  StoredLayers layers_{TensorTable()};
};

constexpr const char* kComfyUiWrites = R"({"format": "int8_tensorwise"})";

TEST_F(ForeignLayers, OfComfyUiAreRestoredByTheShapeOfTheirScales) {
  const std::vector<float> one = {0.5F, 1, 1.5F, -0.5F, -1, -64};
  const std::vector<float> rows = {0.5F, 1, 1.5F, -2, -4, -256};
  for (const char* words : {kComfyUiWrites, R"({"format": "int8_tensorwise", "per_row": true})",
                            R"({"format": "int8_tensorwise", "per_row": false, "convrot": false})",
                            R"({"format": "int8_tensorwise", "convrot": null, "params": {}})"}) {
    add_comfy(words, f32({0.5F}), {});
    EXPECT_EQ(values(restored(DType::kF32), "l.weight"), one) << words;
    add_comfy(words, f32({0.5F}), {1});
    EXPECT_EQ(values(restored(DType::kF32), "l.weight"), one) << words;
    add_comfy(words, f32({0.5F}), {1, 1});
    EXPECT_EQ(values(restored(DType::kF32), "l.weight"), one) << words;
    add_comfy(words, f32({0.5F, 2}), {2, 1});
    const Checkpoint out = restored(DType::kF32);
    EXPECT_EQ(values(out, "l.weight"), rows) << words;
    EXPECT_EQ(out.tensors.size(), 1U);
  }
  add_comfy(kComfyUiWrites, f32({0.5F, 2}), {2});
  EXPECT_EQ(fault(), FileRule::kLayerShape);
}

TEST_F(ForeignLayers, OfComfyUiGetTheTypeOfTheFloatsBesideThem) {
  add_comfy(kComfyUiWrites, f32({0.5F}), {});
  EXPECT_EQ(restored().tensors.find("l.weight")->dtype, kBF16);
  source_.add_random("norm.weight", kF16, {8});
  EXPECT_EQ(restored().tensors.find("l.weight")->dtype, kF16);
  source_.add_random("l.bias", kF32, {2});
  EXPECT_EQ(restored().tensors.find("l.weight")->dtype, kF32);
  add_comfy(R"({"format": "int8_tensorwise", "orig_dtype": "torch.float16"})", f32({0.5F}), {});
  source_.add_random("l.bias", kF32, {2});
  EXPECT_EQ(restored().tensors.find("l.weight")->dtype, kF16);
}

TEST_F(ForeignLayers, OfComfyUiMayBeDescribedByTheMetadata) {
  add_comfy("", f32({0.5F, 2}), {2, 1});
  source_.add("m.weight", kF8E4M3, {2, 2}, "abcd");
  source_.add("m.weight_scale", kF32, {}, f32({1}));
  source_.add("l.input_scale", kF32, {}, f32({1}));
  source_.metadata = {{"_quantization_metadata",
                       R"({"layers": {"l": {"format": "int8_tensorwise"},
                                      "m": {"format": "mxfp8"}, "x": {}}})"}};
  const Checkpoint out = restored(DType::kF32);
  EXPECT_EQ(values(out, "l.weight"), (std::vector<float>{0.5F, 1, 1.5F, -2, -4, -256}));
  EXPECT_EQ(out.tensors.size(), 3U);
  EXPECT_EQ(out.tensors.find("m.weight")->dtype, kF8E4M3);
  EXPECT_THAT(layers_.left(), ElementsAre(Pair("ComfyUI's mxfp8", 1)));
  const auto& metadata = *out.tensors.metadata();
  ASSERT_EQ(metadata.size(), 2U);
  EXPECT_EQ(nlohmann::json::parse(metadata[0].second.text()),
            nlohmann::json::parse(R"({"layers": {"m": {"format": "mxfp8"}}})"));
  EXPECT_EQ(metadata[1], TensorTable::Metadata::value_type("format", "pt"));
}

TEST_F(ForeignLayers, OfComfyUiThatAreNoPlainInt8AreNamed) {
  const std::vector<std::pair<std::string, std::string>> others = {
      {R"({"format": "int8_tensorwise", "convrot": true})",
       "ComfyUI's int8_tensorwise with ConvRot"},
      {R"({"format": "int8_tensorwise", "params": {"convrot": 1}})",
       "ComfyUI's int8_tensorwise with ConvRot"},
      {R"({"format": "int8_tensorwise", "num_experts": 4})",
       "ComfyUI's int8_tensorwise of experts"},
      {R"({"format": "nvfp4"})", "ComfyUI's nvfp4"},
      {R"({"format": "<b>"})", "ComfyUI, in a format that is not known here"},
      {"{}", "ComfyUI, in a format that is not known here"}};
  for (const auto& [description, name] : others) {
    add_comfy(description, f32({0.5F}), {});
    EXPECT_EQ(restored().tensors.size(), 3U);
    EXPECT_THAT(layers_.layers(), IsEmpty());
    EXPECT_THAT(layers_.left(), ElementsAre(Pair(name, 1)));
  }
}

std::string config_of(const std::string& format, const std::string& groups) {
  return R"({"dtype": "float32", "quantization_config": {"quant_method": "compressed-tensors",
             "format": ")" +
         format + R"(", "config_groups": {)" + groups + "}}}";
}

// Two rows of eight codes of 4 bits, 0 to 15, in groups of four.
void add_packed(TestCheckpoint& source, const std::string& layer, bool symmetric) {
  source.add(layer + ".weight_packed", kI32, {2, 1}, i32({0x76543210U, 0xfedcba98U}));
  source.add(layer + ".weight_scale", kF32, {2, 2}, f32({1, 2, 0.5F, 1}));
  source.add(layer + ".weight_shape", kI64, {2}, i64({2, 8}));
  if (symmetric) return;
  source.add(layer + ".weight_zero_point", kI32, {1, 2}, i32({0x21U, 0x43U}));
}

const std::vector<float> kSymmetric = {-8, -7, -6, -5, -8, -6, -4, -2, 0, .5F, 1, 1.5F, 4, 5, 6, 7};
const std::vector<float> kAsymmetric = {-1, 0, 1, 2, 2, 4, 6, 8, 3, 3.5F, 4, 4.5F, 8, 9, 10, 11};

TEST_F(ForeignLayers, OfCompressedTensorsAreDescribedByTheConfigBesideThem) {
  const auto group = [](const char* name, bool symmetric, const char* target) {
    return "\"" + std::string(name) + R"(": {"targets": [")" + target +
           R"("], "weights": {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 4,
               "symmetric": )" +
           (symmetric ? "true" : "false") + R"(, "actorder": null}})";
  };
  add_packed(source_, "a.s", true);
  add_packed(source_, "a.z", false);
  source_.add_random("head.weight", kF32, {4, 4});
  write_config(config_of("pack-quantized",
                         group("g0", true, "Linear") + "," + group("g1", false, "re:.*z$")));
  const Checkpoint out = restored();
  EXPECT_EQ(values(out, "a.s.weight"), kSymmetric);
  EXPECT_EQ(values(out, "a.z.weight"), kAsymmetric);
  EXPECT_EQ(out.tensors.size(), 3U);
  EXPECT_EQ(layers_.config_file(), folder_ / "config.json");
  EXPECT_THAT(layers_.left(), IsEmpty());
}

TEST_F(ForeignLayers, OfCompressedTensorsAreFoundByTheirSizes) {
  // Which group is which only the sizes say.
  const auto group = [](int number, int bits, int size) {
    return "\"g" + std::to_string(number) +
           R"(": {"targets": ["Linear"], "weights": {"num_bits": )" + std::to_string(bits) +
           R"(, "strategy": "group", "group_size": )" + std::to_string(size) + "}}";
  };
  add_packed(source_, "a", true);
  write_config(
      config_of("pack-quantized", group(0, 8, 4) + "," + group(1, 4, 2) + "," + group(2, 4, 4)));
  EXPECT_EQ(values(restored(), "a.weight"), kSymmetric);
  write_config(config_of("pack-quantized", group(0, 8, 4) + "," + group(1, 4, 2)));
  restored();
  EXPECT_THAT(layers_.left(), ElementsAre(Pair(::testing::HasSubstr("does not tell"), 1)));
  // Of two that say the same either is right.
  write_config(config_of("pack-quantized", group(0, 4, 4) + "," + group(1, 4, 4)));
  EXPECT_EQ(values(restored(), "a.weight"), kSymmetric);
  write_config(config_of("pack-quantized", group(0, 3, 4)));
  restored();
  EXPECT_THAT(layers_.left(), ElementsAre(Pair(::testing::HasSubstr("not known here"), 1)));
  write_config(R"({"quantization_config": {"quant_method": "awq"}})");
  restored();
  EXPECT_THAT(layers_.layers(), IsEmpty());
}

TEST_F(ForeignLayers, OfCompressedTensorsMayBeBytes) {
  const std::string weights = R"("weights": {"num_bits": 8, "symmetric": true, "strategy": )";
  source_.add("a.weight", kI8, {2, 3}, std::string("\1\2\3\xff\xfe\x80", 6));
  source_.add("a.weight_scale", kF32, {2, 1}, f32({0.5F, 2}));
  source_.add("a.input_scale", kF32, {1}, f32({3}));
  source_.add("t.weight", kI8, {2, 2}, std::string("\1\2\3\4", 4));
  source_.add("t.weight_scale", kF32, {1}, f32({0.5F}));
  source_.add_random("a.bias", kF32, {2});
  write_config(config_of("int-quantized", R"("g": {"targets": ["Linear"], )" + weights +
                                              R"("channel"}}, "t": {"targets": ["t"], )" + weights +
                                              R"("tensor"}})"));
  const Checkpoint out = restored();
  EXPECT_EQ(values(out, "a.weight"), (std::vector<float>{0.5F, 1, 1.5F, -2, -4, -256}));
  EXPECT_EQ(values(out, "t.weight"), (std::vector<float>{0.5F, 1, 1.5F, 2}));
  EXPECT_EQ(out.tensors.size(), 3U);
}

TEST_F(ForeignLayers, OfCompressedTensorsWithZeroPointsInBytesAreLeft) {
  source_.add("a.b.weight", kI8, {2, 3}, "123456");
  source_.add("a.b.weight_scale", kF32, {2, 1}, f32({0.5F, 2}));
  source_.add("a.b.weight_zero_point", kI8, {2, 1}, "12");
  write_config(config_of("int-quantized", R"("g": {"targets": ["a.b"], "weights": {"num_bits": 8,)"
                                          R"("symmetric": false, "strategy": "channel"}})"));
  EXPECT_EQ(restored().tensors.size(), 3U);
  EXPECT_THAT(layers_.left(), ElementsAre(Pair("int8 with scales", 1)));
}

TEST_F(ForeignLayers, WithoutADescriptionAreNamed) {
  add_packed(source_, "a", true);
  restored();
  EXPECT_THAT(layers_.left(), ElementsAre(Pair(::testing::HasSubstr("without a quantization"), 1)));
  EXPECT_TRUE(layers_.config_file().empty());
  for (const char* text : {"no JSON", "[]", ""}) {
    write_config(text);
    EXPECT_EQ(fault(), FileRule::kLayerDescription);
  }
  // A folder, and a file that is far too long, are nobody's configuration.
  std::filesystem::remove(folder_ / "config.json");
  std::filesystem::create_directory(folder_ / "config.json");
  restored();
  EXPECT_THAT(layers_.layers(), IsEmpty());
  std::filesystem::remove(folder_ / "config.json");
  write_config("[");
  std::filesystem::resize_file(folder_ / "config.json", 9 << 20);
  restored();
  EXPECT_THAT(layers_.layers(), IsEmpty());
}

TEST_F(ForeignLayers, WithColumnsInAnotherOrderAreNotTakenForOrdinaryOnes) {
  add_packed(source_, "a.b", true);
  source_.add("a.b.weight_g_idx", kI32, {8}, i32({0, 1, 0, 1, 0, 1, 0, 1}));
  for (const char* target : {"Linear", "a.b"}) {
    write_config(
        config_of("pack-quantized", R"("g": {"targets": [")" + std::string(target) +
                                        R"("], "weights": {"num_bits": 4, "symmetric": true,
                                                     "strategy": "group", "group_size": 4}})"));
    restored();
    EXPECT_THAT(layers_.layers(), IsEmpty());
    ASSERT_EQ(layers_.left().size(), 1U);
  }
}

// A bitsandbytes, a GPTQ and an HQQ layer, a float one, and a norm.
void add_foreign(TestCheckpoint& source) {
  source.add("b.weight", kU8, {4, 1}, "1234");
  source.add("b.weight.quant_map", kF32, {2}, f32({0.1F, 1}));
  source.add("b.weight.nested_absmax", kF32, {1}, f32({0.3F}));
  source.add_random("b.bias", kF32, {4});
  source.add("g.qweight", kI32, {1, 2}, i32({1, 2}));
  source.add_random("g.scales", kF16, {64, 64});
  source.add("g.g_idx", kI32, {1}, i32({1}));
  source.add_random("h.W_q", kBF16, {64, 64});
  source.add_random("h.scale", kF32, {64, 64});
  source.add_random("f.weight", kF32, {64, 64});
  source.add_random("norm.weight", kF32, {64});
}

TEST_F(ForeignLayers, StayAsTheyAreWhateverIsAskedOfTheOthers) {
  add_foreign(source_);
  const Checkpoint& file = opened();
  for (const char* name : {"int8_rowwise", "int8"}) {
    const Format format = default_format(*find_format(name));
    const std::vector<std::uint8_t> choices(file.tensors.size(), 0);
    const FilePlan plan =
        plan_quantized(file, stored_layers_of(file), {&format, 1}, choices, {.dtype = DType::kF16});
    for (const TensorPlan& tensor : plan.tensors) {
      if (tensor.name() == "f.weight") {
        EXPECT_TRUE(tensor.is_quantized());
      } else if (tensor.name() == "norm.weight") {
        EXPECT_FALSE(tensor.is_quantized() || tensor.is_copied());
      } else {
        EXPECT_TRUE(tensor.is_copied()) << tensor.name();
        EXPECT_EQ(tensor.reason, StayReason::kAlreadyQuantized) << tensor.name();
        EXPECT_FALSE(tensor.stored_as.empty());
      }
    }
    EXPECT_EQ(plan.readers.size(), 4U);
  }
  // Nor when something is restored.
  source_.add("l.weight", kI8, {2, 3}, "123456");
  source_.add("l.weight_scale", kF32, {}, f32({1}));
  source_.add("l.comfy_quant", kU8, {29}, kComfyUiWrites);
  const Checkpoint out = restored(DType::kF16);
  for (const TensorEntry& tensor : out.tensors.entries()) {
    const bool free =
        tensor.name == "f.weight" || tensor.name == "norm.weight" || tensor.name == "l.weight";
    const ElementType before = file.tensors.find(tensor.name) == nullptr
                                   ? kF16
                                   : open_checkpoint(folder_ / "in.safetensors", Io::kRead)
                                         .tensors.find(tensor.name)
                                         ->dtype;
    EXPECT_EQ(tensor.dtype, free ? kF16 : before) << tensor.name;
  }
  EXPECT_EQ(layers_.left().size(), 3U);
}

TEST_F(ForeignLayers, OfCompressedTensorsTakeNoOthersIntoTheirFile) {
  add_packed(source_, "a", true);
  source_.add_random("f.weight", kF32, {64, 64});
  // The layer `a` is left by its choice, or takes the format too.
  const auto reason = [&](const char* name, std::uint8_t of_a = kLeaveTensor) {
    const Checkpoint& file = opened();
    const Format format = default_format(*find_format(name));
    std::vector<std::uint8_t> choices(file.tensors.size(), 0);
    for (std::size_t index = 0; index < choices.size(); ++index) {
      if (file.tensors[index].name.starts_with("a.")) choices[index] = of_a;
    }
    const FilePlan plan = plan_quantized(file, stored_layers_of(file), {&format, 1}, choices, {});
    for (const TensorPlan& tensor : plan.tensors) {
      if (tensor.name() == "f.weight") return std::pair(tensor.reason, plan.readers);
    }
    throw std::runtime_error("not planned");
  };
  EXPECT_EQ(reason("int8").first, StayReason::kConfigTaken);
  EXPECT_THAT(reason("int8_rowwise").second, ElementsAre("ComfyUI", "compressed-tensors"));
  // Where all of those that it has are decoded, the file is free.
  write_config(config_of("pack-quantized", R"("g": {"targets": ["Linear"], "weights": {
      "num_bits": 4, "type": "int", "strategy": "group", "group_size": 4, "symmetric": true}})"));
  EXPECT_EQ(reason("int8", 0).first, StayReason::kNone);
  EXPECT_THAT(reason("int8", 0).second, ElementsAre("compressed-tensors"));
  EXPECT_THAT(reason("int8_rowwise", 0).second, ElementsAre("ComfyUI"));
  // A configuration of layers that are not there is nobody's.
  source_.tensors.clear();
  source_.add_random("f.weight", kF32, {64, 64});
  source_.metadata = {{"quantization_config", R"({"quant_method": "gptq"})"}};
  EXPECT_EQ(reason("int8").first, StayReason::kNone);
  source_.add("g.qweight", kI32, {1, 2}, i32({1, 2}));
  EXPECT_EQ(reason("int8").first, StayReason::kConfigTaken);
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// Layers that come back: from files, from memory, from shards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#include "containers/test_files.h"
#include "pipeline/test_checkpoint.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/safetensors.h"
#include "quarrow/pipeline/file_job.h"
#include "quarrow/pipeline/read_layer.h"

namespace quarrow {
namespace {

using ::testing::IsEmpty;

// Rows that fill no word (padded in files, in several tiles), rows longer than a tile,
// several tiles, a convolution.
TestCheckpoint float_checkpoint() {
  TestCheckpoint checkpoint;
  checkpoint.metadata = {{"format", "pt"}};
  checkpoint.add_random("ragged.weight", ElementType::kF32, {2100, 51});
  checkpoint.add_random("odd.weight", ElementType::kF16, {37, 48});
  checkpoint.add_random("long.weight", ElementType::kF32, {9, 90'000});
  checkpoint.add_random("conv.weight", ElementType::kBF16, {17, 16, 3, 3});
  checkpoint.add_random("big.weight", ElementType::kF32, {900, 400});
  checkpoint.add_random("double.weight", ElementType::kF64, {9, 33'600});
  checkpoint.add_random("odd.bias", ElementType::kF16, {37});
  checkpoint.add("ids", ElementType::kI64, {1}, "12345678");
  return checkpoint;
}

std::vector<Format> stored_formats() {
  std::vector<Format> formats;
  for (const std::string_view name : {"int8", "int4", "int2"}) {
    for (const bool symmetric : {false, true}) {
      for (const DType scale_dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
        for (const GroupSize group : {GroupSize::of(16), GroupSize::row()}) {
          Format format = default_format(*find_format(name));
          format.symmetric = symmetric;
          format.scale_dtype = scale_dtype;
          format.group_size = group;
          formats.push_back(format);
        }
      }
    }
  }
  formats.push_back(default_format(*find_format("int8_rowwise")));
  return formats;
}

// What quantize() makes of a tensor, and dequantize() of that.
struct Expected {
  Expected(const Format& format, const TestTensor& tensor, const Context& context) {
    const TensorView view =
        matrix_view(tensor.data.data(), *float_dtype(tensor.dtype), tensor.shape);
    const LayerRequest request{view, format, tensor.name};
    const Plan plan = make_plan({&request, 1});
    PartMemory memory(plan.layers[0]);
    const QuantizedSpan span = memory.span();
    Status status;
    EXPECT_TRUE(
        quantize(plan, {&view, 1}, {&span, 1}, NonFinitePolicy::kRaise, context, {&status, 1})
            .ok());
    const bool is_wide = tensor.dtype == ElementType::kF64;
    const DType dtype = is_wide ? DType::kF32 : *float_dtype(tensor.dtype);
    values.resize(plan.layers[0].elements() * size_of(dtype));
    const QuantizedView stored = memory.view();
    parts.emplace(memory);
    const DequantizedSpan output{values.data(), dtype};
    EXPECT_TRUE(dequantize(plan, {&stored, 1}, {&output, 1}, context).ok());
    if (is_wide) values = widened(values);
  }

  // f64 values equal to f32 ones.
  static std::string widened(const std::string& narrow) {
    std::vector<float> values(narrow.size() / sizeof(float));
    std::memcpy(values.data(), narrow.data(), narrow.size());
    const std::vector<double> wide(values.begin(), values.end());
    return {reinterpret_cast<const char*>(wide.data()), wide.size() * sizeof(double)};
  }

  std::optional<PartMemory> parts;
  std::string values;
};

class Restore : public ::testing::Test {
 protected:
  static Context make_context(std::size_t threads) {
    Context context;
    context.executor = &default_executor();
    context.target = *default_target();
    context.threads = threads;
    return context;
  }
  FilePlan planned(const Checkpoint& source, const Format& format,
                   const FilePlanOptions& options = {}) {
    const std::vector<std::uint8_t> choices(source.tensors.size(), 0);
    return plan_quantized(source, stored_layers_of(source), {&format, 1}, choices, options);
  }
  static std::string bytes_of(const Checkpoint& checkpoint, const TensorEntry& tensor) {
    std::string buffer(tensor.bytes(), '\0');
    const std::byte* data = checkpoint.read(tensor, 0, tensor.bytes(), buffer.data());
    return {reinterpret_cast<const char*>(data), tensor.bytes()};
  }
  void write_source() { folder_.write("in", source_.bytes()); }

  TestFolder folder_;
  TestCheckpoint source_ = float_checkpoint();
  FileJobOptions options_{.sync = false};
  Context context_ = make_context(2);
};

TEST_F(Restore, LayersAreReadAndRestoredAsInMemory) {
  write_source();
  const Checkpoint source = open_checkpoint(folder_ / "in", Io::kRead);
  for (const Format& format : stored_formats()) {
    SCOPED_TRACE(std::string(format.spec->name) + (format.symmetric ? " symmetric" : ""));
    FilePlan plan = planned(source, format);
    ASSERT_TRUE(run_file_job(source, plan, folder_ / "q", options_, context_).finished);
    for (const Io io : {Io::kRead, Io::kMap}) {
      const Checkpoint quantized = open_checkpoint(folder_ / "q", io);
      const StoredLayers layers = find_stored_layers(quantized);
      const bool rowwise = format.spec->name == "int8_rowwise";
      const bool grouped = format.group_size == GroupSize::of(16);
      // A runtime of linear layers leaves the convolution, groups leave the ragged rows.
      ASSERT_EQ(layers.layers().size(), rowwise || grouped ? 5U : 6U);
      const Plan stored = plan_stored_layers(layers.layers());
      for (std::size_t index = 0; index < layers.layers().size(); ++index) {
        const StoredLayer& layer = layers.layers()[index];
        const TestTensor& tensor = *source_.find(layer.name);
        EXPECT_EQ(layer.dtype, tensor.dtype);
        EXPECT_EQ(layer.format, format);
        const Expected expected(format, tensor, context_);
        PartMemory read(stored.layers[index]);
        read_layer(quantized, layer, stored.layers[index], context_.target, read.span());
        EXPECT_TRUE(read == *expected.parts) << layer.name;
      }
      FilePlan restoring = plan_restored(quantized, layers, {});
      ASSERT_TRUE(run_file_job(quantized, restoring, folder_ / "r", options_, context_).finished);
      const Checkpoint restored = open_checkpoint(folder_ / "r", Io::kRead);
      ASSERT_EQ(restored.tensors.size(), source_.tensors.size());
      EXPECT_EQ(restored.tensors.metadata(), source.tensors.metadata());
      for (const TestTensor& tensor : source_.tensors) {
        const TensorEntry* entry = restored.tensors.find(tensor.name);
        ASSERT_NE(entry, nullptr) << tensor.name;
        const bool left =
            (rowwise && tensor.shape.size() > 2) || (grouped && tensor.name.starts_with("ragged"));
        const bool was_layer = tensor.name.ends_with(".weight") && !left;
        EXPECT_EQ(entry->dtype, tensor.dtype);
        // Of long strings that differ gtest would look for the shortest edit, for minutes.
        const std::string wanted =
            was_layer ? Expected(format, tensor, context_).values : tensor.data;
        EXPECT_TRUE(bytes_of(restored, *entry) == wanted) << tensor.name;
      }
    }
  }
}

TEST_F(Restore, ALayerOfOneRowComesBack) {
  source_ = {};
  source_.add_random("one.weight", ElementType::kF32, {1, 96});
  write_source();
  const Checkpoint source = open_checkpoint(folder_ / "in", Io::kRead);
  for (const char* name : {"int8", "int8_rowwise"}) {
    const Format format = default_format(*find_format(name));
    FilePlan plan = planned(source, format);
    ASSERT_TRUE(run_file_job(source, plan, folder_ / "q", options_, context_).finished);
    const Checkpoint quantized = open_checkpoint(folder_ / "q", Io::kRead);
    const StoredLayers layers = find_stored_layers(quantized);
    ASSERT_EQ(layers.layers().size(), 1U);
    FilePlan restoring = plan_restored(quantized, layers, {});
    ASSERT_TRUE(run_file_job(quantized, restoring, folder_ / "r", options_, context_).finished);
    const Checkpoint restored = open_checkpoint(folder_ / "r", Io::kRead);
    EXPECT_TRUE(bytes_of(restored, restored.tensors[0]) ==
                Expected(format, source_.tensors[0], context_).values);
  }
}

TEST_F(Restore, MemoryHoldsWhatTheFileHolds) {
  write_source();
  const Checkpoint source = open_checkpoint(folder_ / "in", Io::kRead);
  std::vector<TensorInMemory> tensors;
  for (const TensorEntry& entry : source.tensors.entries()) {
    tensors.push_back({entry.name, entry.dtype, entry.shape,
                       std::as_bytes(std::span(source_.find(entry.name)->data))});
  }
  const Checkpoint held = checkpoint_in_memory(tensors, *source.tensors.metadata());
  for (const Format& format : stored_formats()) {
    FilePlan plan = planned(source, format);
    ASSERT_TRUE(run_file_job(source, plan, folder_ / "q", options_, context_).finished);
    const std::string file = read_bytes(folder_ / "q");
    FilePlan memory_plan = planned(held, format, {.dtype = {}, .in_memory = true});
    const OutputPlan& output = memory_plan.outputs[0];
    ASSERT_EQ(output.file_bytes, file.size());
    std::vector<std::byte> memory(output.memory_bytes);
    ASSERT_TRUE(run_memory_job(held, memory_plan, options_, context_, memory).finished);
    for (std::size_t index = 0; index < output.entries.size(); ++index) {
      if (memory_plan.tensors[output.tensors[index]].is_copied()) continue;
      const TensorEntry& entry = output.entries[index];
      const std::uint64_t position = output.header_bytes + entry.begin;
      const std::uint64_t there = output.memory_positions[index];
      EXPECT_EQ(there % 64, 0U);
      EXPECT_EQ(std::memcmp(memory.data() + there, file.data() + position, entry.bytes()), 0)
          << entry.name;
    }
  }
}

TEST_F(Restore, ShardsHoldEachTensorOnce) {
  write_source();
  const Checkpoint source = open_checkpoint(folder_ / "in", Io::kRead);
  const Format format = default_format(*find_format("int8_rowwise"));
  FilePlan one = planned(source, format);
  ASSERT_TRUE(run_file_job(source, one, folder_ / "one", options_, context_).finished);
  const Checkpoint whole = open_checkpoint(folder_ / "one", Io::kRead);
  for (const std::uint64_t size : {1U, 5'000U, 400'000U}) {
    FilePlan plan = planned(source, format, {.dtype = {}, .max_shard_bytes = size});
    ASSERT_GT(plan.outputs.size(), 1U);
    const std::vector<std::string> paths = shard_paths(folder_ / "out", plan.outputs.size());
    ASSERT_TRUE(run_file_job(source, plan, folder_ / "out", options_, context_).finished);
    const Checkpoint sharded = open_checkpoint(paths.back(), Io::kRead);
    ASSERT_EQ(sharded.tensors.size(), whole.tensors.size());
    for (const TensorEntry& entry : whole.tensors.entries()) {
      const TensorEntry* found = sharded.tensors.find(entry.name);
      ASSERT_NE(found, nullptr);
      EXPECT_TRUE(bytes_of(sharded, *found) == bytes_of(whole, entry)) << entry.name;
    }
    EXPECT_EQ(find_stored_layers(sharded).layers().size(), 5U);
  }
}

TEST_F(Restore, ConvertsWhatStaysAndFindsWhatDoesNotFit) {
  source_.add("wide", ElementType::kF32, {3},
              std::string("\0\0\x80\x3f\0\0\xc8\x42\0\0\0\x40", 12));
  write_source();
  const Checkpoint source = open_checkpoint(folder_ / "in", Io::kRead);
  const Format format = default_format(*find_format("int8_rowwise"));
  FilePlan plan = planned(source, format, {.dtype = DType::kF16, .max_shard_bytes = 0});
  ASSERT_TRUE(run_file_job(source, plan, folder_ / "out", options_, context_).finished);
  const Checkpoint converted = open_checkpoint(folder_ / "out", Io::kRead);
  const TensorEntry* wide = converted.tensors.find("wide");
  EXPECT_EQ(wide->dtype, ElementType::kF16);
  EXPECT_EQ(bytes_of(converted, *wide), std::string("\x00\x3c\x40\x56\x00\x40", 6));
  EXPECT_EQ(converted.tensors.find("ids")->dtype, ElementType::kI64);

  // Below the middle of what 65504 and the next step would be, a value is the former.
  source_.set("wide", 1, std::nextafter(65520.0F, 0.0F));
  write_source();
  const Checkpoint largest = open_checkpoint(folder_ / "in", Io::kRead);
  plan = planned(largest, format, {.dtype = DType::kF16, .max_shard_bytes = 0});
  ASSERT_TRUE(run_file_job(largest, plan, folder_ / "out", options_, context_).finished);
  const Checkpoint rounded = open_checkpoint(folder_ / "out", Io::kRead);
  EXPECT_EQ(bytes_of(rounded, *rounded.tensors.find("wide")),
            std::string("\x00\x3c\xff\x7b\x00\x40", 6));

  source_.set("wide", 1, 65520.0F);
  source_.set("wide", 2, std::numeric_limits<float>::infinity());
  write_source();
  const Checkpoint too_wide = open_checkpoint(folder_ / "in", Io::kRead);
  plan = planned(too_wide, format, {.dtype = DType::kF16, .max_shard_bytes = 0});
  try {
    run_file_job(too_wide, plan, folder_ / "out", options_, context_);
    FAIL() << "65520 is no f16";
  } catch (const LayerFault& fault) {
    EXPECT_EQ(fault.status.code, StatusCode::kValueOverflow);
    EXPECT_EQ(fault.status.position, 1U);
    EXPECT_EQ(plan.tensors[fault.tensor].name(), "wide");
  }
}

TEST_F(Restore, FaultsThatAreSkippedAreAllTold) {
  const Format format = default_format(*find_format("int8_rowwise"));
  options_.skip_faults = true;
  // Rows that fit into a tile, and rows whose ranges are found in a pass of their own.
  for (const std::int64_t cols : {400, 90'000}) {
    TestCheckpoint checkpoint;
    for (const char* name : {"a.weight", "b.weight", "c.weight"}) {
      checkpoint.add_random(name, ElementType::kF32, {360'000 / cols, cols});
    }
    checkpoint.set("a.weight", 100'000, std::nanf(""));
    checkpoint.set("a.weight", 359'999, std::nanf(""));
    checkpoint.set("c.weight", 3, std::numeric_limits<float>::infinity());
    folder_.write("in", checkpoint.bytes());
    const Checkpoint source = open_checkpoint(folder_ / "in", Io::kRead);
    FilePlan plan = planned(source, format);
    const FileJobResult result = run_file_job(source, plan, folder_ / "out", options_, context_);
    ASSERT_EQ(plan.layers.range_pass, cols == 90'000);
    EXPECT_FALSE(result.finished);
    ASSERT_EQ(result.faults.size(), 2U);
    EXPECT_EQ(result.faults[0].tensor, 0U);
    EXPECT_EQ(result.faults[0].status.position, 100'000U);
    EXPECT_EQ(result.faults[0].status.count, 2U);
    EXPECT_EQ(result.faults[1].tensor, 2U);
    EXPECT_THAT(folder_.names(), ::testing::ElementsAre("in"));
  }
}

TEST_F(Restore, FaultsOfBothPassesAreToldInTheOrderOfTheFile) {
  TestCheckpoint checkpoint;
  checkpoint.add_random("a.weight", ElementType::kF32, {4, 4});
  checkpoint.add_random("b.weight", ElementType::kF32, {2, 90'000});
  checkpoint.add_random("c.weight", ElementType::kF32, {4, 4});
  for (const char* name : {"a.weight", "b.weight", "c.weight"}) {
    checkpoint.set(name, 3, std::nanf(""));
  }
  folder_.write("in", checkpoint.bytes());
  const Checkpoint source = open_checkpoint(folder_ / "in", Io::kRead);
  FilePlan plan = planned(source, default_format(*find_format("int8_rowwise")));
  options_.skip_faults = true;
  const FileJobResult result = run_file_job(source, plan, folder_ / "out", options_, context_);
  ASSERT_EQ(result.faults.size(), 3U);
  for (std::size_t index = 0; index < 3; ++index) EXPECT_EQ(result.faults[index].tensor, index);
}

TEST_F(Restore, WhatLiesBesideCodesOfAnotherKindKeepsItsDType) {
  TestCheckpoint checkpoint;
  checkpoint.add("l.weight", ElementType::kI8, {2, 2}, "abcd");
  checkpoint.add_random("l.weight_scale", ElementType::kF32, {2, 1});
  checkpoint.add_random("m.bias", ElementType::kF32, {2});
  folder_.write("in", checkpoint.bytes());
  const Checkpoint source = open_checkpoint(folder_ / "in", Io::kRead);
  const StoredLayers layers = find_stored_layers(source);
  ASSERT_THAT(layers.layers(), IsEmpty());
  const FilePlan plan = plan_restored(source, layers, {.dtype = DType::kF16, .max_shard_bytes = 0});
  for (const TensorPlan& tensor : plan.tensors) {
    EXPECT_EQ(tensor.is_copied(), tensor.name() != "m.bias");
  }
}

TEST_F(Restore, LayersWithoutElementsHaveTheirScales) {
  const std::string text =
      R"({"format": "int8_tensorwise", "orig_dtype": "torch.float16", "per_row": true})";
  const auto text_bytes = static_cast<std::int64_t>(text.size());
  for (const bool has_rows : {false, true}) {
    const std::int64_t rows = has_rows ? 3 : 0;
    TestCheckpoint checkpoint;
    checkpoint.add("e.weight", ElementType::kI8, {rows, has_rows ? 0 : 4}, "");
    checkpoint.add_random("e.weight_scale", ElementType::kF32, {rows, 1});
    checkpoint.add("e.comfy_quant", ElementType::kU8, {text_bytes}, text);
    folder_.write("in", checkpoint.bytes());
    const Checkpoint source = open_checkpoint(folder_ / "in", Io::kRead);
    const StoredLayers layers = find_stored_layers(source);
    ASSERT_EQ(layers.layers().size(), 1U);
    const Plan stored = plan_stored_layers(layers.layers());
    PartMemory read(stored.layers[0]);
    read_layer(source, layers.layers()[0], stored.layers[0], context_.target, read.span());
    EXPECT_EQ(read.text(Role::kScales), checkpoint.find("e.weight_scale")->data);
    FilePlan plan = plan_restored(source, layers, {});
    ASSERT_TRUE(run_file_job(source, plan, folder_ / "out", options_, context_).finished);
    const Checkpoint restored = open_checkpoint(folder_ / "out", Io::kRead);
    EXPECT_EQ(restored.tensors.find("e.weight")->dtype, ElementType::kF16);
  }
}

TEST_F(Restore, DefaultsLeaveNormsEmbeddingsAndSmallTensors) {
  const std::vector<std::uint64_t> large = {32, 32};
  const std::vector<std::uint64_t> small = {31, 33};
  const auto reason_of = [](std::string_view name, const std::vector<std::uint64_t>& shape) {
    TensorEntry entry;
    entry.name = name;
    entry.shape = shape;
    return default_stay_reason(entry);
  };
  for (const char* name : {"ln_1.weight", "a.norm.weight", "layer_norm2.weight", "norm.weight"}) {
    EXPECT_EQ(reason_of(name, large), StayReason::kNorm) << name;
  }
  for (const char* name : {"wte.weight", "token_embedding.weight", "x_embedder.weight",
                           "shared.weight", "pos_emb.weight"}) {
    EXPECT_EQ(reason_of(name, large), StayReason::kEmbedding) << name;
  }
  for (const char* name :
       {"norm1.linear.weight", "embed.proj.weight", "shared_mlp.weight", "weight"}) {
    EXPECT_EQ(reason_of(name, large), StayReason::kNone) << name;
    EXPECT_EQ(reason_of(name, small), StayReason::kSmall) << name;
  }
}

}  // namespace
}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow {
namespace {

using ::testing::ElementsAre;

TEST(OutputNames, OfOneFileIsWhatTheCallerWrote) {
  for (const char* name : {"a.safetensors", "a.sft", "a", "a.b/c", "flux1.1", "", "a/"}) {
    EXPECT_THAT(shard_paths(name, 1), ElementsAre(name));
  }
}

TEST(OutputNames, OfSeveralEndWithTheirIndex) {
  EXPECT_THAT(shard_paths("d/a.safetensors", 2),
              ElementsAre("d/a-00001-of-00002.safetensors", "d/a-00002-of-00002.safetensors",
                          "d/a.safetensors.index.json"));
  EXPECT_THAT(shard_paths("d.e/a", 2),
              ElementsAre("d.e/a-00001-of-00002.safetensors", "d.e/a-00002-of-00002.safetensors",
                          "d.e/a.safetensors.index.json"));
  EXPECT_EQ(shard_paths("flux1.1.safetensors", 2).back(), "flux1.1.safetensors.index.json");
}

TEST(OutputNames, OfADestinationThatIsAnIndexAreItsShards) {
  EXPECT_THAT(shard_paths("d/a.safetensors.index.json", 1),
              ElementsAre("d/a-00001-of-00001.safetensors", "d/a.safetensors.index.json"));
  EXPECT_THAT(
      shard_paths("a.index.json", 2),
      ElementsAre("a-00001-of-00002.safetensors", "a-00002-of-00002.safetensors", "a.index.json"));
}

// As diffusers' save_pretrained(variant="fp16") names them, and its from_pretrained finds them.
TEST(OutputNames, OfAVariantAreThoseThatDiffusersLooksFor) {
  const auto expected = ElementsAre("d/diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
                                    "d/diffusion_pytorch_model.fp16-00002-of-00002.safetensors",
                                    "d/diffusion_pytorch_model.safetensors.index.fp16.json");
  EXPECT_THAT(shard_paths("d/diffusion_pytorch_model.fp16.safetensors", 2), expected);
  EXPECT_THAT(shard_paths("d/diffusion_pytorch_model.safetensors.index.fp16.json", 2), expected);
  EXPECT_EQ(shard_paths("model.non_ema.safetensors", 2).back(),
            "model.safetensors.index.non_ema.json");
  EXPECT_EQ(shard_paths("x.safetensors.index.fp16.json", 1).front(),
            "x.fp16-00001-of-00001.safetensors");
  // Not a variant, but another name.
  EXPECT_EQ(shard_paths("models.fp16.safetensors", 2).back(), "models.fp16.safetensors.index.json");
  EXPECT_EQ(shard_paths("model..safetensors", 2).back(), "model..safetensors.index.json");
}

TEST(OutputNames, OfGgufAreOneFile) {
  for (const char* name : {"a.gguf", "A.GGUF", "a", "flux1.1"}) {
    EXPECT_THAT(shard_paths(name, 1, Container::kGguf), ElementsAre(name));
  }
  for (const char* name : {"a.safetensors", "a.safetensors.index.json", "a.json", "a.pt"}) {
    EXPECT_THROW(shard_paths(name, 1, Container::kGguf), PathFault) << name;
  }
}

TEST(OutputNames, OfOtherFormatsAreRefused) {
  for (const char* name : {"x.gguf", "x.GGUF", "x.ckpt", "x.pt", "x.bin", "x.safetensors.json",
                           "x.json", ".index.json", "d/.index.json", "x.index..json",
                           "d/.safetensors.index.json", "x.index.a/b.json", "x.npz"}) {
    for (const std::size_t outputs : {1U, 2U}) {
      try {
        shard_paths(name, outputs);
        ADD_FAILURE() << name << " was accepted";
      } catch (const PathFault& fault) {
        EXPECT_EQ(fault.rule, PathRule::kOtherFormat);
        EXPECT_EQ(fault.path, name);
      }
    }
  }
}

}  // namespace
}  // namespace quarrow

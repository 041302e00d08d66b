// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/container.h"

#include <gtest/gtest.h>

#include <memory_resource>

#include "containers/gguf_bytes.h"

namespace quarrow {
namespace {

TEST(Containers, AreFoundByNameEndingAndFirstBytes) {
  for (const ContainerSpec& each : containers()) {
    EXPECT_EQ(find_container(each.name), each.container);
    EXPECT_EQ(name_of(each.container), each.name);
    EXPECT_EQ(container_of_name("a" + std::string(each.ending)), each.container);
    EXPECT_EQ(container_of(each.first_bytes).container, each.container);
  }
  EXPECT_EQ(container_of_name("A.B/C.SafeTensors"), Container::kSafetensors);
  EXPECT_EQ(container_of_name("model.GGUF"), Container::kGguf);
  for (const char* name : {"", "gguf", "model.gguf.part", "model.gguf/", "model"}) {
    EXPECT_EQ(container_of_name(name), std::nullopt) << name;
  }
  EXPECT_EQ(find_container("onnx"), std::nullopt);
  EXPECT_EQ(container_of("GGU").container, Container::kSafetensors);
}

TEST(Containers, HoldTheTypesThatTheirFormatsHave) {
  const ContainerSpec& safetensors = spec_of(Container::kSafetensors);
  const ContainerSpec& gguf = spec_of(Container::kGguf);
  for (const ElementType type : {ElementType::kF32, ElementType::kF16, ElementType::kBF16,
                                 ElementType::kF64, ElementType::kI8, ElementType::kI64}) {
    EXPECT_TRUE(safetensors.holds(type) && gguf.holds(type)) << name_of(type);
  }
  for (const ElementType type : {ElementType::kBool, ElementType::kU8, ElementType::kF8E4M3,
                                 ElementType::kC64, ElementType::kF4}) {
    EXPECT_TRUE(safetensors.holds(type) && !gguf.holds(type)) << name_of(type);
  }
  for (const ElementType type : {ElementType::kQ80, ElementType::kQ4K, ElementType::kNVFP4}) {
    EXPECT_TRUE(!safetensors.holds(type) && gguf.holds(type)) << name_of(type);
  }
}

TEST(Containers, TakeTheNamesThatTheirReadersTake) {
  const ContainerSpec& gguf = spec_of(Container::kGguf);
  for (const std::string_view name : {std::string_view(), std::string_view("a\0b", 3)}) {
    EXPECT_TRUE(spec_of(Container::kSafetensors).takes_name(name));
    EXPECT_FALSE(gguf.takes_name(name));
  }
  EXPECT_TRUE(gguf.takes_name("blk.0.attn_q.weight"));
}

TEST(Containers, ValuesOfAnotherContainerBecomeTextsInSafetensors) {
  std::pmr::monotonic_buffer_resource memory;
  const std::string number = number_bytes<std::uint32_t>(64);
  const std::string long_text(100'000, '\xff');
  std::optional<TensorTable::Metadata> metadata =
      TensorTable::Metadata{{"general.alignment", MetadataValue(ValueType::kU32, number)},
                            {"layers", MetadataValue(ValueType::kU32, number)},
                            {"author", "\xff"},
                            {"vocabulary", std::string_view(long_text)}};
  spec_of(Container::kSafetensors).complete(metadata, {.is_foreign = true}, memory);
  EXPECT_EQ(*metadata,
            (TensorTable::Metadata{{"layers", "64"}, {"author", "\\xff"}, {"format", "pt"}}));
}

}  // namespace
}  // namespace quarrow

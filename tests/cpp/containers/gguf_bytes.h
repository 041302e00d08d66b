// SPDX-License-Identifier: Apache-2.0
//
// GGUF files made piece by piece, so that each piece may be wrong.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "containers/test_files.h"
#include "quarrow/containers/checkpoint.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/metadata_value.h"

namespace quarrow {

template <typename Number>
std::string number_bytes(Number number) {
  std::string bytes(sizeof(number), '\0');
  std::memcpy(bytes.data(), &number, sizeof(number));
  return bytes;
}

inline std::string gguf_text(std::string_view text) {
  return number_bytes<std::uint64_t>(text.size()) + std::string(text);
}

// A key with a value of that type, as it is stored.
inline std::string gguf_key(std::string_view key, std::uint32_t type, std::string_view value) {
  return gguf_text(key) + number_bytes(type) + std::string(value);
}
inline std::string gguf_key(std::string_view key, ValueType type, std::string_view value) {
  return gguf_key(key, static_cast<std::uint32_t>(type), value);
}
inline std::string gguf_alignment_key(std::uint32_t alignment) {
  return gguf_key("general.alignment", ValueType::kU32, number_bytes(alignment));
}

// What the header says of a tensor; the innermost dimension first, as ggml has it.
inline std::string gguf_tensor(std::string_view name, const std::vector<std::uint64_t>& dimensions,
                               std::uint32_t type, std::uint64_t offset) {
  std::string bytes = gguf_text(name) + number_bytes(static_cast<std::uint32_t>(dimensions.size()));
  for (const std::uint64_t dimension : dimensions) bytes += number_bytes(dimension);
  return bytes + number_bytes(type) + number_bytes(offset);
}

using Pieces = std::vector<std::string>;

inline std::string gguf_start(std::uint32_t version, std::uint64_t tensors, std::uint64_t keys) {
  return "GGUF" + number_bytes(version) + number_bytes(tensors) + number_bytes(keys);
}

inline std::string gguf_bytes(const Pieces& keys, const Pieces& tensors, std::string_view data = {},
                              std::size_t alignment = 32, std::uint32_t version = 3) {
  std::string bytes = gguf_start(version, tensors.size(), keys.size());
  for (const std::string& key : keys) bytes += key;
  for (const std::string& tensor : tensors) bytes += tensor;
  bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
  return bytes + std::string(data);
}

// A folder to write hostile files to, and what the reader says of them.
class GgufTest : public ::testing::Test {
 protected:
  Checkpoint open(std::string_view bytes) {
    return open_checkpoint(folder_.write("model.gguf", bytes), Io::kRead);
  }
  CheckpointFault fault(std::string_view bytes) {
    try {
      open(bytes);
    } catch (const CheckpointFault& fault) {
      EXPECT_EQ(fault.path, folder_ / "model.gguf");
      return fault;
    }
    throw std::runtime_error("the file was accepted");
  }
  std::string rule(std::string_view bytes) { return std::string(name_of(fault(bytes).rule)); }

  TestFolder folder_;
};

}  // namespace quarrow

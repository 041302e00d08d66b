// SPDX-License-Identifier: Apache-2.0
//
// A folder to write hostile files to, and what the reader says of them.
#pragma once

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <string_view>

#include "containers/test_files.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/safetensors.h"

namespace quarrow {

class ReaderTest : public ::testing::Test {
 protected:
  Checkpoint open(std::string_view bytes) {
    return open_safetensors(folder_.write("model.safetensors", bytes));
  }
  Checkpoint open(std::string_view header, std::string_view data) {
    return open(safetensors_bytes(header, data));
  }
  CheckpointFault fault(std::string_view bytes) {
    try {
      open(bytes);
    } catch (const CheckpointFault& fault) {
      EXPECT_EQ(fault.path, folder_ / "model.safetensors");
      return fault;
    }
    throw std::runtime_error("the file was accepted");
  }
  CheckpointFault fault(std::string_view header, std::string_view data) {
    return fault(safetensors_bytes(header, data));
  }

  TestFolder folder_;
};

}  // namespace quarrow

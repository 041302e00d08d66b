// SPDX-License-Identifier: Apache-2.0
#include "pipeline/copy_bytes.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <string>

#include "containers/failing_calls.h"
#include "containers/test_files.h"

namespace quarrow {
namespace {

class ByteCopierTest : public ::testing::Test {
 protected:
  // Copies "six of it" and returns what arrived.
  std::string copied() {
    const std::string from = folder_.write("from", "a file: six of it");
    const std::string to = folder_.write("to", "");
    const File source = File::open_to_read(from);
    const File target(::open(to.c_str(), O_RDWR | O_CLOEXEC), to);
    std::array<std::byte, 4> buffer{};
    EXPECT_EQ(copier_.copy({source, 8}, {target, 0}, 9, buffer), 9U);
    return read_bytes(to);
  }

  TestFolder folder_;
  ByteCopier copier_;
};

TEST_F(ByteCopierTest, CopiesWithAndWithoutTheKernel) {
  EXPECT_EQ(copied(), "six of it");
  for (const int error : {EXDEV, ENOSYS}) {
    const FailingCalls failing(Call::kCopyRange, error);
    EXPECT_EQ(copied(), "six of it");
  }
}

TEST_F(ByteCopierTest, AKernelThatCannotIsNotAskedAgain) {
  const FailingCalls failing(Call::kCopyRange, EXDEV);
  copied();
  const int asked = failing.calls();
  copied();
  EXPECT_EQ(failing.calls(), asked);
}

TEST_F(ByteCopierTest, AnInterruptedCopyGoesOn) {
  const FailingCalls interrupted(Call::kCopyRange, EINTR, 1);
  const FailingCalls no_other_way(Call::kRead, EIO);
  EXPECT_EQ(copied(), "six of it");
  EXPECT_EQ(interrupted.calls(), 2);
}

TEST_F(ByteCopierTest, AKernelThatSaysNothingIsThereIsNotBelieved) {
  // As Linux before 5.19 does of files in /proc.
  const FailingCalls idle(Call::kCopyRange, kNothingDone);
  EXPECT_EQ(copied(), "six of it");
}

TEST_F(ByteCopierTest, FewerBytesAreCopiedAtTheEndAlone) {
  const File source = File::open_to_read(folder_.write("from", "bytes"));
  const std::string to = folder_.write("to", "");
  const File target(::open(to.c_str(), O_RDWR | O_CLOEXEC), to);
  std::array<std::byte, 4> buffer{};
  EXPECT_EQ(copier_.copy({source, 2}, {target, 0}, 9, buffer), 3U);
  EXPECT_EQ(read_bytes(to), "tes");
}

}  // namespace
}  // namespace quarrow

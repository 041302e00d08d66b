// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "containers/failing_calls.h"
#include "containers/test_files.h"

namespace quarrow {
namespace {

TEST(File, AWriteThatFindsNoRoomIsAnError) {
  const File full(::open("/dev/full", O_WRONLY | O_CLOEXEC), "model.safetensors");
  ASSERT_GE(full.descriptor(), 0);
  try {
    full.write_at("bytes", 5, 0);
    FAIL() << "a full disk was not noticed";
  } catch (const std::filesystem::filesystem_error& error) {
    EXPECT_EQ(error.code().value(), ENOSPC);
    EXPECT_EQ(error.path1(), "model.safetensors");
  }
}

TEST(File, AFileThatCannotBeReadIsAnError) {
  const File closed(-1, "model.safetensors");
  char byte = 0;
  EXPECT_THROW(closed.read_at(&byte, 1, 0), std::filesystem::filesystem_error);
}

TEST(File, WithoutMemoryNoDescriptorStays) {
  const TestFolder folder;
  // Longer than what a string holds without an allocation.
  const std::string path = folder.write(std::string(100, 'a'), "bytes");
  const int before = open_descriptors();
  bool failed = true;
  for (int nth = 1; failed; ++nth) {
    const FailingCalls failing(Call::kAllocation, ENOMEM, nth);
    try {
      const File file = File::open_to_read(path);
    } catch (const std::bad_alloc&) {
    }
    failed = failing.failed();
    EXPECT_EQ(open_descriptors(), before) << nth;
  }
}

TEST(File, ACloseAfterReadingReportsNothing) {
  const TestFolder folder;
  File file = File::open_to_read(folder.write("a", "bytes"));
  const FailingCalls failing(Call::kClose, EIO);
  file.close();
  EXPECT_TRUE(failing.failed());
}

TEST(File, FewerBytesAreReadAtTheEndAlone) {
  const TestFolder folder;
  const File file = File::open_to_read(folder.write("a", "bytes"));
  std::string data(9, '.');
  EXPECT_EQ(file.read_at(data.data(), 9, 2), 3U);
  EXPECT_EQ(data, "tes......");
  EXPECT_EQ(file.read_at(data.data(), 9, 5), 0U);
}

}  // namespace
}  // namespace quarrow

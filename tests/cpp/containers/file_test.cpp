// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

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

TEST(File, WhatIsStagedIsWrittenAtOnce) {
  const TestFolder folder;
  File file = unnamed_file(folder, 8);
  file.stage(8);
  file.write_at("cd", 2, 2);
  file.write_at("ab", 2, 0);
  char bytes[8] = {'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x'};
  EXPECT_EQ(file.read_at(bytes, 8, 0), 8U);
  EXPECT_EQ(std::string(bytes, 8), std::string(8, '\0')) << "written too early";

  File moved = std::move(file);
  EXPECT_TRUE(moved.is_staged());
  moved.write_staged();
  EXPECT_FALSE(moved.is_staged());
  moved.write_staged();
  moved.write_at("h", 1, 7);
  EXPECT_EQ(moved.read_at(bytes, 8, 0), 8U);
  EXPECT_EQ(std::string(bytes, 8), std::string("abcd\0\0\0h", 8));
}

TEST(File, WhatIsStagedGrowsWithWhatIsWrittenBeyondIt) {
  const TestFolder folder;
  File file = unnamed_file(folder, 0);
  file.stage(1);
  file.write_at("efgh", 4, 4);
  file.write_at("a", 1, 0);
  file.write_staged();
  char bytes[9] = {};
  EXPECT_EQ(file.read_at(bytes, 9, 0), 8U);
  EXPECT_EQ(std::string(bytes, 8), std::string("a\0\0\0efgh", 8));
}

TEST(File, WhatIsStagedAndFindsNoRoomIsAnError) {
  File full(::open("/dev/full", O_WRONLY | O_CLOEXEC), "model.safetensors");
  full.stage(4);
  full.write_at("abcd", 4, 0);
  EXPECT_THROW(full.write_staged(), std::filesystem::filesystem_error);
}

// Whether `action` throws an error of the system of that number.
template <typename Action>
testing::AssertionResult fails_with(int error, Action action) {
  try {
    action();
  } catch (const std::filesystem::filesystem_error& thrown) {
    if (thrown.code().value() == error) return testing::AssertionSuccess();
    return testing::AssertionFailure() << thrown.what();
  }
  return testing::AssertionFailure() << "nothing was thrown";
}

TEST(File, WhatASignalInterruptsGoesOn) {
  const TestFolder folder;
  const std::string path = folder.write("a", "bytes");
  const File file(::open(path.c_str(), O_RDWR | O_CLOEXEC), path);
  {
    const FailingCalls interrupted(Call::kWrite, EINTR, 1);
    file.write_at("other", 5, 0);
    EXPECT_EQ(interrupted.calls(), 2);
  }
  std::string data(5, '.');
  const FailingCalls interrupted(Call::kRead, EINTR, 1);
  EXPECT_EQ(file.read_at(data.data(), 5, 0), 5U);
  EXPECT_EQ(interrupted.calls(), 2);
  EXPECT_EQ(data, "other");
}

TEST(File, AWriteThatNeverGetsOnIsAnError) {
  const TestFolder folder;
  const std::string path = folder.write("a", "bytes");
  const File file(::open(path.c_str(), O_RDWR | O_CLOEXEC), path);
  const FailingCalls idle(Call::kWrite, kNothingDone);
  EXPECT_TRUE(fails_with(EIO, [&] { file.write_at("other", 5, 0); }));
}

TEST(File, WhatCannotBeLookedAtIsAnError) {
  const TestFolder folder;
  const std::string path = folder.write("a", "bytes");
  const int before = open_descriptors();
  {
    const FailingCalls failing(Call::kStatus, EIO);
    EXPECT_TRUE(fails_with(EIO, [&] { File::open_to_read(path); }));
  }
  EXPECT_EQ(open_descriptors(), before);
  const File closed(-1, path);
  EXPECT_TRUE(fails_with(EBADF, [&] { closed.identity(); }));
  EXPECT_TRUE(fails_with(EBADF, [&] { closed.flush_delayed_writes(); }));
}

TEST(File, AnInterruptedCloseReportsNothing) {
  const TestFolder folder;
  const File file = File::open_to_read(folder.write("a", "bytes"));
  const FailingCalls interrupted(Call::kClose, EINTR);
  file.flush_delayed_writes();
  EXPECT_TRUE(interrupted.failed());
}

TEST(File, AFolderThatCannotBeSyncedIsAnErrorUnlessItsSystemNeverDoes) {
  const TestFolder folder;
  {
    const FailingCalls failing(Call::kSync, EIO);
    EXPECT_TRUE(fails_with(EIO, [&] { sync_folder(folder.path(), "a"); }));
  }
  const FailingCalls never(Call::kSync, EINVAL);
  sync_folder(folder.path(), "a");
  EXPECT_TRUE(never.failed());
  sync_folder(folder / "none", "a");
}

TEST(File, OneThatIsAssignedClosesWhatItWas) {
  const TestFolder folder;
  const int before = open_descriptors();
  {
    File file = File::open_to_read(folder.write("a", "bytes"));
    file = File::open_to_read(folder.write("b", "bytes"));
    EXPECT_EQ(file.path(), folder / "b");
    File& itself = file;
    file = std::move(itself);
    EXPECT_EQ(file.path(), folder / "b");
    EXPECT_EQ(file.identity().bytes, 5U);
    EXPECT_EQ(open_descriptors(), before + 1);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(File, OneInMemoryWritesToTheCallersMemory) {
  std::string memory(6, '.');
  File file = File::in_memory(std::as_writable_bytes(std::span(memory)));
  file.write_at("ab", 2, 1);
  file.write_at("", 0, 6);
  EXPECT_EQ(memory, ".ab...");
  const File moved = std::move(file);
  EXPECT_EQ(file.memory_at(0), nullptr);
  // What was made where it belongs is there.
  moved.memory_at(4)[0] = std::byte{'c'};
  moved.write_at(moved.memory_at(4), 1, 4);
  EXPECT_EQ(memory, ".ab.c.");
  const TestFolder folder;
  EXPECT_EQ(unnamed_file(folder, 1).memory_at(0), nullptr);
}

TEST(Mapping, IsNothingForNoBytesAndAnErrorForTooMany) {
  const TestFolder folder;
  const File file = unnamed_file(folder, 0);
  EXPECT_EQ(Mapping(file, 0).data(), nullptr);
  EXPECT_TRUE(fails_with(ENOMEM, [&] { const Mapping all(file, std::uint64_t{1} << 62); }));
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

// SPDX-License-Identifier: Apache-2.0
//
// Files that appear whole, in a folder of their own.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "containers/failing_calls.h"
#include "containers/test_files.h"
#include "quarrow/containers/atomic_file.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {

// Where the file system makes files without a name, and where it does not.
class AtomicFileTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!GetParam()) no_unnamed_.emplace(Call::kOpenUnnamed, EOPNOTSUPP);
  }
  static void fill(AtomicFile& output, std::string_view bytes) {
    output.resize(bytes.size());
    output.file().write_at(bytes.data(), bytes.size(), 0);
  }
  static void complete(AtomicFile& output) {
    output.finish(false);
    output.publish(false);
  }
  static mode_t mode_of(const AtomicFile& output) {
    struct stat status{};
    EXPECT_EQ(::fstat(output.file().descriptor(), &status), 0);
    return status.st_mode & 0777;
  }
  std::string only_name() const {
    const auto names = folder_.names();
    return names.size() == 1 ? names[0] : "";
  }
  PathRule rule_of(const std::string& destination, const FileIdentity& source = {}) {
    try {
      const AtomicFile output(destination, {&source, 1});
    } catch (const PathFault& fault) {
      EXPECT_EQ(fault.path, destination);
      return fault.rule;
    }
    throw std::runtime_error("the destination was accepted");
  }

  TestFolder folder_;

 private:
  std::optional<FailingCalls> no_unnamed_;
};

}  // namespace quarrow

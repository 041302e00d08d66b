// SPDX-License-Identifier: Apache-2.0
//
// Files that change hands together, in a folder of their own.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "containers/failing_calls.h"
#include "containers/file_set.h"
#include "containers/test_files.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {

using Contents = std::map<std::string, std::string>;

inline constexpr const char* kClaim = ".m.index.quarrow-set";

class FileSetTest : public ::testing::Test {
 protected:
  std::vector<std::string> paths() const {
    return {folder_ / "m-1", folder_ / "m-2", folder_ / "m.index"};
  }

  static Contents set_of(const std::string& text) {
    return {{"m-1", text}, {"m-2", text}, {"m.index", text}};
  }
  void write_old() const {
    for (const auto& [name, text] : set_of("old")) folder_.write(name, text);
  }
  Contents contents() const {
    Contents all;
    for (const std::string& name : folder_.names()) all[name] = read_bytes(folder_ / name);
    return all;
  }

  // What a job does. Throws what it throws.
  void replace(bool sync = false) const {
    std::vector<std::unique_ptr<AtomicFile>> files;
    for (const std::string& path : paths()) {
      files.push_back(std::make_unique<AtomicFile>(path, std::span<const FileIdentity>()));
      files.back()->file().write_at("new", 3, 0);
    }
    FileSet set(paths());
    for (const auto& file : files) file->finish(false);
    set.publish(files, sync);
  }
  // A process that ends at the nth call of a kind. True when it got that far.
  bool killed_at(Call call, int nth) const {
    const pid_t child = ::fork();
    if (child == 0) {
      const FailingCalls end(call, kKilled, nth);
      replace();
      ::_exit(2);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    return WEXITSTATUS(status) == EXIT_SUCCESS;
  }
  PathRule rule() const {
    try {
      const FileSet set(paths());
    } catch (const PathFault& fault) {
      return fault.rule;
    }
    throw std::runtime_error("the set was not refused");
  }

  TestFolder folder_;
};

}  // namespace quarrow

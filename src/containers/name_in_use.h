// SPDX-License-Identifier: Apache-2.0
//
// Names of files that objects of this process use just now. A lock cannot tell them apart from
// abandoned ones where the file system has no locks, nor in the moment before it is taken.
#pragma once

#include <string>
#include <string_view>

namespace quarrow {

class NameInUse {
 public:
  NameInUse() = default;
  // Registers a name until the object goes; it is not held() when another object has it. From any
  // thread. A child made by fork() starts with none: they are its parent's.
  explicit NameInUse(std::string name);
  NameInUse(NameInUse&& other) noexcept;
  NameInUse& operator=(NameInUse&& other) noexcept;
  ~NameInUse();

  bool held() const noexcept { return held_; }

 private:
  void release() noexcept;

  std::string name_;
  bool held_ = false;
};

bool is_in_use(std::string_view name) noexcept;

// This thread waits for a name until the object goes.
class NameWait {
 public:
  explicit NameWait(const std::string& name);
  NameWait(const NameWait&) = delete;
  NameWait& operator=(const NameWait&) = delete;
  ~NameWait();

  // The name is this thread's own, or whoever has it waits, perhaps for another thread that waits,
  // for one that is.
  bool is_forever() const noexcept { return forever_; }

 private:
  bool forever_;
};

}  // namespace quarrow

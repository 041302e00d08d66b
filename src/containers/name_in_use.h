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
bool is_in_use_by_this_thread(std::string_view name) noexcept;

}  // namespace quarrow

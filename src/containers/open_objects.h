// SPDX-License-Identifier: Apache-2.0
//
// Duplicate keys of JSON objects that are read event by event.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace quarrow {

// The keys of the objects that are open, to find duplicates after unescaping.
class OpenObjects {
 public:
  void open() { starts_.push_back(keys_.size()); }
  void add(std::string_view key) { keys_.push_back(key); }
  // Closes the innermost object; its first key that occurs twice, if any.
  std::optional<std::string_view> close();
  std::size_t depth() const noexcept { return starts_.size(); }

 private:
  std::vector<std::string_view> keys_;
  std::vector<std::size_t> starts_;
};

}  // namespace quarrow

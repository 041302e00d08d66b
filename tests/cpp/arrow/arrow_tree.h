// SPDX-License-Identifier: Apache-2.0
//
// Arrow data made by hand, right or wrong. Their memory is exactly as long as what was written into
// it, so that the sanitizers see every step beyond.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "quarrow/arrow/c_data.h"

namespace quarrow {

// A buffer of numbers; without one the pointer is null.
struct TestBuffer {
  TestBuffer() = default;
  template <typename Number>
  explicit TestBuffer(const std::vector<Number>& numbers)
      : present(true), bytes(numbers.size() * sizeof(Number)) {
    if (!bytes.empty()) std::memcpy(bytes.data(), numbers.data(), bytes.size());
  }
  const void* data() const { return present ? static_cast<const void*>(bytes.data()) : nullptr; }

  bool present = false;
  std::vector<std::byte> bytes;
};

// An array and its type.
struct TestArray {
  std::string format;
  std::int64_t length = 0;
  std::vector<TestBuffer> buffers = {};  // the validity first
  std::vector<TestArray> children = {};
  std::string name = "item";
  std::int64_t offset = 0;
};

// The same as structs of the interface, which point into it.
class ArrowTree {
 public:
  explicit ArrowTree(const TestArray& root) : root_(root), schema_(add_schema(root_)) {
    array_ = add_array(root_);
  }
  ArrowTree(const ArrowTree&) = delete;
  ArrowTree& operator=(const ArrowTree&) = delete;

  const ArrowSchema& schema() const { return *schema_; }
  const ArrowArray& array() const { return *array_; }

 private:
  ArrowSchema* add_schema(const TestArray& from) {
    ArrowSchema& made = schemas_.emplace_back();
    made.format = from.format.c_str();
    made.name = from.name.c_str();
    made.release = [](ArrowSchema*) {};
    std::vector<ArrowSchema*> children;
    for (const TestArray& child : from.children) children.push_back(add_schema(child));
    made.n_children = static_cast<std::int64_t>(children.size());
    made.children = schema_children_.emplace_back(std::move(children)).data();
    return &made;
  }

  ArrowArray* add_array(const TestArray& from) {
    ArrowArray& made = arrays_.emplace_back();
    made.length = from.length;
    made.offset = from.offset;
    made.null_count = -1;
    made.release = [](ArrowArray*) {};
    std::vector<const void*>& buffers = buffers_.emplace_back();
    for (const TestBuffer& buffer : from.buffers) buffers.push_back(buffer.data());
    made.n_buffers = static_cast<std::int64_t>(buffers.size());
    made.buffers = buffers.data();
    std::vector<ArrowArray*> children;
    for (const TestArray& child : from.children) children.push_back(add_array(child));
    made.n_children = static_cast<std::int64_t>(children.size());
    made.children = array_children_.emplace_back(std::move(children)).data();
    return &made;
  }

  TestArray root_;
  // Deques, so that nothing moves.
  std::deque<ArrowSchema> schemas_;
  std::deque<ArrowArray> arrays_;
  std::deque<std::vector<ArrowSchema*>> schema_children_;
  std::deque<std::vector<ArrowArray*>> array_children_;
  std::deque<std::vector<const void*>> buffers_;
  ArrowSchema* schema_ = nullptr;
  ArrowArray* array_ = nullptr;
};

// Names "0", "1"... and the weights of a batch.
inline TestArray test_batch(TestArray weights) {
  TestArray names{.format = "u", .length = weights.length, .name = "layer_name"};
  std::vector<std::int32_t> offsets{0};
  std::vector<char> texts;
  for (std::int64_t row = 0; row < weights.length; ++row) {
    for (const char digit : std::to_string(row)) texts.push_back(digit);
    offsets.push_back(static_cast<std::int32_t>(texts.size()));
  }
  names.buffers = {TestBuffer(), TestBuffer(offsets), TestBuffer(texts)};
  weights.name = "weights";
  const std::int64_t length = weights.length;
  return {.format = "+s",
          .length = length,
          .buffers = {TestBuffer()},
          .children = {std::move(names), std::move(weights)},
          .name = ""};
}

}  // namespace quarrow

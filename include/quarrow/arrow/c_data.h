// SPDX-License-Identifier: Apache-2.0
//
// Arrow's C data and C stream interfaces: the structs that the specification lays down
// (https://arrow.apache.org/docs/format/CDataInterface.html), and who releases them.
#pragma once

#include <cstdint>
#include <utility>

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

extern "C" {

struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  ArrowSchema** children;
  ArrowSchema* dictionary;
  void (*release)(ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  ArrowArray** children;
  ArrowArray* dictionary;
  void (*release)(ArrowArray*);
  void* private_data;
};

}  // extern "C"

#endif  // ARROW_C_DATA_INTERFACE

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

extern "C" {

struct ArrowArrayStream {
  int (*get_schema)(ArrowArrayStream*, ArrowSchema* out);
  int (*get_next)(ArrowArrayStream*, ArrowArray* out);
  const char* (*get_last_error)(ArrowArrayStream*);
  void (*release)(ArrowArrayStream*);
  void* private_data;
};

}  // extern "C"

#endif  // ARROW_C_STREAM_INTERFACE

namespace quarrow {

// Releases an ArrowSchema, ArrowArray or ArrowArrayStream once.
template <typename Struct>
class ArrowOwner {
 public:
  ArrowOwner() = default;
  // Takes what `source` holds; `source` counts as released then.
  explicit ArrowOwner(Struct& source) noexcept : held_(source) { source.release = nullptr; }
  ArrowOwner(ArrowOwner&& other) noexcept : ArrowOwner(other.held_) {}
  ArrowOwner& operator=(ArrowOwner&& other) noexcept {
    if (this != &other) {
      reset();
      held_ = std::exchange(other.held_, Struct{});
    }
    return *this;
  }
  ~ArrowOwner() { reset(); }

  // False when nothing is held: not yet, no longer, or a stream's end.
  explicit operator bool() const noexcept { return held_.release != nullptr; }
  Struct* operator->() noexcept { return &held_; }
  const Struct& operator*() const noexcept { return held_; }
  Struct* get() noexcept { return &held_; }  // to be filled by a producer while nothing is held

  void reset() noexcept {
    if (held_.release != nullptr) held_.release(&held_);
    held_.release = nullptr;
  }

 private:
  Struct held_{};
};

}  // namespace quarrow

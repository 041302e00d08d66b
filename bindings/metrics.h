// SPDX-License-Identifier: Apache-2.0
//
// What the calls of this process did: the totals that quarrow.metrics() shows.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "quarrow/core/context.h"
#include "quarrow/quantize/format.h"

namespace quarrow::python {

// The functions that are counted.
enum class EntryPoint : std::uint8_t {
  kQuantize,
  kQuantizeBatch,
  kQuantizeArrow,
  kDequantize,
  kDequantizeBatch,
  kDequantizeArrow,
  kQuantizeFile,
  kDequantizeFile,
  kConvertFile,
  kSave,
  kQuantizeStateDict,
  kDequantizeStateDict,
  kLegacyQuantize,
};
inline constexpr std::size_t kEntryPoints = 13;

// As in Python: "quantize", "legacy.quantize".
std::string_view name_of(EntryPoint entry) noexcept;
std::optional<EntryPoint> entry_point_from_name(std::string_view name) noexcept;

// Whether a call is timed and logged. Of a small one the cost would show; file jobs wait for files
// anyway.
bool is_reported(EntryPoint entry, std::uint64_t bytes_in) noexcept;

struct EntryTotals {
  std::uint64_t calls = 0;
  std::uint64_t layers = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_copied = 0;
  double seconds = 0;
  std::uint64_t errors = 0;
};

// Each figure is exact; a call that ends meanwhile may be in some of them only.
EntryTotals totals_of(EntryPoint entry) noexcept;
void reset_totals() noexcept;

// One call of an entry point. Make it on the stack before the arguments are looked at:
//   CallRecord record(EntryPoint::kQuantize);
//   record.add(1, bytes);
//   record.finish(seconds);
// Destroyed without finish() it was an error: then only copies count beside that. Needs the lock,
// and one thread. One that is kept elsewhere may end before those that began after it.
class CallRecord {
 public:
  explicit CallRecord(EntryPoint entry) noexcept;
  ~CallRecord();
  CallRecord(const CallRecord&) = delete;
  CallRecord& operator=(const CallRecord&) = delete;

  // The innermost call of this thread; null when there is none. What is called from a caller's own
  // code (an iterator, a progress callback) is a call by itself. Only legacy.quantize and
  // dequantize_arrow take over what the calls inside them did.
  static CallRecord* current() noexcept;

  // What the result holds.
  void add(std::uint64_t layers, std::uint64_t bytes_in) noexcept;
  // To be called as soon as input was copied.
  void copied(std::uint64_t bytes) noexcept { bytes_copied_ += bytes; }
  // Layers that were skipped because of an error.
  void failed(std::uint64_t layers) noexcept { failed_ += layers; }
  // There was nothing to call for: the end of a stream. Nothing is counted.
  void forget() noexcept { leave(); }
  // It will neither end nor be destroyed, since that belongs to another thread. Nothing is counted.
  void abandon() noexcept;
  // How the core ran: `threads` of those that the context offers could work.
  void ran(std::size_t threads, const Context& context) noexcept;

  // The call returns a result. `seconds` count unless the call is small. `name`: of its only layer;
  // `format`: of all its layers, null when they differ. Logs and warns, which may throw.
  void finish(double seconds, nanobind::handle name = {}, const FormatSpec* format = nullptr);

 private:
  void leave() noexcept;

  EntryPoint entry_;
  CallRecord* outer_;
  bool left_ = false;
  std::uint64_t layers_ = 0;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_copied_ = 0;
  std::uint64_t failed_ = 0;
  std::size_t threads_ = 1;
  std::size_t offered_ = 1;
  std::optional<Target> target_;
};

}  // namespace quarrow::python

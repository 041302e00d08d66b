// SPDX-License-Identifier: Apache-2.0
#include "metrics.h"

#include <algorithm>
#include <array>
#include <atomic>

#include "call_context.h"
#include "call_report.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

constexpr std::array<std::string_view, kEntryPoints> kNames = {
    "quantize",       "quantize_batch",      "quantize_arrow",
    "dequantize",     "dequantize_batch",    "dequantize_arrow",
    "quantize_file",  "dequantize_file",     "convert_file",
    "save",           "quantize_state_dict", "dequantize_state_dict",
    "legacy.quantize"};

using Counter = std::atomic<std::uint64_t>;

// A cache line each: threads that use different entry points do not wait for each other.
struct alignas(64) Counters {
  Counter calls;
  Counter layers;
  Counter bytes_in;
  Counter bytes_copied;
  Counter nanoseconds;
  Counter errors;
};

constinit std::array<Counters, kEntryPoints> all_counters{};

// Initial-exec: the loader ends the process when it finds no memory for other kinds.
[[gnu::tls_model("initial-exec")]] constinit thread_local CallRecord* innermost = nullptr;

Counters& counters_of(EntryPoint entry) noexcept {
  return all_counters[static_cast<std::size_t>(entry)];
}

// Whether calls inside of one of these are part of it: it makes them itself.
bool takes_over(EntryPoint entry) noexcept {
  return entry == EntryPoint::kLegacyQuantize || entry == EntryPoint::kDequantizeArrow;
}

// Most calls have nothing to add to some counters.
void count(Counter& counter, std::uint64_t amount) noexcept {
  if (amount != 0) {
    counter.fetch_add(amount, std::memory_order_relaxed);
  }
}

}  // namespace

std::string_view name_of(EntryPoint entry) noexcept {
  return kNames[static_cast<std::size_t>(entry)];
}

std::optional<EntryPoint> entry_point_from_name(std::string_view name) noexcept {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) {
    return std::nullopt;
  }
  return static_cast<EntryPoint>(found - kNames.begin());
}

bool is_reported(EntryPoint entry, std::uint64_t bytes_in) noexcept {
  return bytes_in >= kSmallCallBytes || entry == EntryPoint::kQuantizeFile ||
         entry == EntryPoint::kDequantizeFile || entry == EntryPoint::kConvertFile ||
         entry == EntryPoint::kSave;
}

EntryTotals totals_of(EntryPoint entry) noexcept {
  const Counters& counters = counters_of(entry);
  const auto value = [](const Counter& counter) { return counter.load(std::memory_order_relaxed); };
  return {.calls = value(counters.calls),
          .layers = value(counters.layers),
          .bytes_in = value(counters.bytes_in),
          .bytes_copied = value(counters.bytes_copied),
          .seconds = static_cast<double>(value(counters.nanoseconds)) * 1e-9,
          .errors = value(counters.errors)};
}

void reset_totals() noexcept {
  for (Counters& counters : all_counters) {
    for (Counter* counter : {&counters.calls, &counters.layers, &counters.bytes_in,
                             &counters.bytes_copied, &counters.nanoseconds, &counters.errors}) {
      counter->store(0, std::memory_order_relaxed);
    }
  }
}

CallRecord::CallRecord(EntryPoint entry) noexcept : entry_(entry), outer_(innermost) {
  innermost = this;
}

CallRecord::~CallRecord() {
  if (left_) {
    return;
  }
  leave();
  if (outer_ != nullptr) {
    outer_->copied(bytes_copied_);
    return;
  }
  Counters& counters = counters_of(entry_);
  count(counters.calls, 1);
  count(counters.errors, 1);
  count(counters.bytes_copied, bytes_copied_);
}

CallRecord* CallRecord::current() noexcept { return innermost; }

// From here on outer_ is the record that takes this one over, if there is one.
void CallRecord::leave() noexcept {
  left_ = true;
  CallRecord** link = &innermost;
  while (*link != this) link = &(*link)->outer_;
  *link = outer_;
  if (outer_ != nullptr && !takes_over(outer_->entry_)) {
    outer_ = nullptr;
  }
}

void CallRecord::abandon() noexcept {
  // What is called inside it now is a call by itself.
  entry_ = EntryPoint::kQuantize;
}

void CallRecord::add(std::uint64_t layers, std::uint64_t bytes_in) noexcept {
  layers_ += layers;
  bytes_in_ += bytes_in;
}

void CallRecord::ran(std::size_t threads, const Context& context) noexcept {
  threads_ = std::max(threads_, threads);
  offered_ = std::max(offered_, context.threads);
  target_ = context.target;
}

void CallRecord::finish(double seconds, nb::handle name, const FormatSpec* format) {
  leave();
  if (outer_ != nullptr) {
    outer_->add(layers_, bytes_in_);
    outer_->copied(bytes_copied_);
    outer_->threads_ = std::max(outer_->threads_, threads_);
    outer_->offered_ = std::max(outer_->offered_, offered_);
    outer_->target_ = target_;
    return;
  }
  const bool reported = is_reported(entry_, bytes_in_);
  Counters& counters = counters_of(entry_);
  count(counters.calls, 1);
  count(counters.layers, layers_);
  count(counters.bytes_in, bytes_in_);
  count(counters.bytes_copied, bytes_copied_);
  count(counters.errors, failed_);
  if (reported) {
    count(counters.nanoseconds, static_cast<std::uint64_t>(seconds * 1e9));
    report_call({.entry = entry_,
                 .layers = layers_,
                 .bytes_in = bytes_in_,
                 .bytes_copied = bytes_copied_,
                 .seconds = seconds,
                 .threads = threads_,
                 .offered = offered_,
                 .target = target_,
                 .name = name,
                 .format = format});
  }
}

}  // namespace quarrow::python

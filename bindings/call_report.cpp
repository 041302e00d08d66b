// SPDX-License-Identifier: Apache-2.0
#include "call_report.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string_view.h>

#include <atomic>
#include <mutex>
#include <string_view>
#include <vector>

#include "throughput_window.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

constexpr int kDebugLevel = 10;  // logging.DEBUG

// A call of fewer bytes says little about throughput.
constexpr std::uint64_t kThroughputFrom = std::uint64_t{1} << 20;

// logging.getLogger("quarrow") and the names of its attributes, kept for ever.
PyObject* logger = nullptr;
PyObject* level_name = nullptr;
PyObject* parent_name = nullptr;

// At most one warning of each.
struct Cause {
  std::atomic<bool> warned = false;

  bool warn_now() noexcept {
    return !warned.load(std::memory_order_relaxed) &&
           !warned.exchange(true, std::memory_order_relaxed);
  }
};

constinit Cause copy_cause;
constinit Cause threads_cause;
constinit Cause scalar_cause;
constinit Cause throughput_cause;

nb::object call_log(const char* function) {
  return nb::module_::import_("quarrow.call_log").attr(function);
}

nb::object attribute(nb::handle object, PyObject* name) {
  nb::object value = nb::steal(PyObject_GetAttr(object.ptr(), name));
  if (!value.is_valid()) {
    throw nb::python_error();
  }
  return value;
}

// Logger.getEffectiveLevel(), without Python code: nothing runs there when nobody listens.
long effective_level() {
  nb::object each = nb::borrow(logger);
  while (!each.is_none()) {
    if (const long level = nb::cast<long>(attribute(each, level_name)); level != 0) {
      return level;
    }
    each = attribute(each, parent_name);
  }
  return 0;
}

void log_call(const FinishedCall& call) {
  if (effective_level() > kDebugLevel ||
      !nb::cast<bool>(nb::handle(logger).attr("isEnabledFor")(kDebugLevel))) {
    return;
  }
  const nb::object name = call.name.is_valid() ? nb::borrow(call.name) : nb::none();
  std::optional<std::string_view> isa;
  if (call.target) {
    isa = name_of(*call.target);
  }
  call_log("finished")(name_of(call.entry), call.layers, call.bytes_in, call.seconds, call.threads,
                       isa, name);
}

void look_at_copies(const FinishedCall& call) {
  // Lists cannot be read in place: legacy.quantize is for those who have nothing else.
  if (call.bytes_copied != 0 && call.entry != EntryPoint::kLegacyQuantize &&
      copy_cause.warn_now()) {
    call_log("warn_of_copy")(name_of(call.entry), call.bytes_copied);
  }
}

void look_at_threads(const FinishedCall& call) {
  if (call.threads == 1) {
    return;
  }
  static const std::size_t cpus = available_cpus();
  if (call.offered > cpus && threads_cause.warn_now()) {
    call_log("warn_of_threads")(call.offered, cpus);
  }
}

void look_at_target(const FinishedCall& call) {
  if (!call.target) {
    return;
  }
  const std::string_view name = name_of(*call.target);
  if ((name == "EMU128" || name == "SCALAR") && scalar_cause.warn_now()) {
    call_log("warn_of_scalar_target")(name, name_of(runnable_targets().front()));
  }
}

// The throughputs of one entry point and format.
struct Throughputs {
  EntryPoint entry;
  const FormatSpec* format;
  ThroughputWindow window;
};

// The median that this call is far below, or nothing.
std::optional<double> missed_median(const FinishedCall& call, double bytes_per_second) {
  static std::mutex mutex;
  static std::vector<Throughputs> all;
  const std::lock_guard guard(mutex);
  for (Throughputs& each : all) {
    if (each.entry == call.entry && each.format == call.format) {
      return each.window.add(bytes_per_second);
    }
  }
  all.push_back({call.entry, call.format, {}});
  return all.back().window.add(bytes_per_second);
}

void look_at_throughput(const FinishedCall& call) {
  if (call.format == nullptr || call.bytes_in < kThroughputFrom || call.seconds <= 0 ||
      throughput_cause.warned.load(std::memory_order_relaxed)) {
    return;
  }
  const double bytes_per_second = static_cast<double>(call.bytes_in) / call.seconds;
  const std::optional<double> median = missed_median(call, bytes_per_second);
  if (median && throughput_cause.warn_now()) {
    call_log("warn_of_throughput")(name_of(call.entry), call.format->name, bytes_per_second,
                                   *median);
  }
}

}  // namespace

void prepare_call_log() {
  logger = nb::object(nb::module_::import_("logging").attr("getLogger")("quarrow")).release().ptr();
  level_name = PyUnicode_InternFromString("level");
  parent_name = PyUnicode_InternFromString("parent");
}

void report_call(const FinishedCall& call) {
  log_call(call);
  look_at_copies(call);
  look_at_threads(call);
  look_at_target(call);
  look_at_throughput(call);
}

}  // namespace quarrow::python

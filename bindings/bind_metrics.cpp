// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "bindings.h"
#include "call_context.h"
#include "call_report.h"
#include "errors.h"
#include "metrics.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

// The record of an entry point that is written in Python. Whoever uses it in another order than a
// `with` statement does is told; what is entered and then dropped was an error.
class ScopedCallRecord {
 public:
  explicit ScopedCallRecord(std::string_view entry) {
    const std::optional<EntryPoint> known = entry_point_from_name(entry);
    if (!known) {
      raise_invalid_input("there is no entry point '" + std::string(entry) + "'");
    }
    entry_ = *known;
  }

  ~ScopedCallRecord() {
    if (record_ == nullptr || is_on_its_thread()) {
      return;
    }
    // The other thread will find it among its own for ever.
    record_->abandon();
    static_cast<void>(record_.release());
  }
  ScopedCallRecord(const ScopedCallRecord&) = delete;
  ScopedCallRecord& operator=(const ScopedCallRecord&) = delete;

  void enter() {
    if (record_ != nullptr) {
      raise_invalid_input("the record of a call is entered twice; make one for each call");
    }
    record_ = std::make_unique<CallRecord>(entry_);
    thread_ = std::this_thread::get_id();
    entered_ = Clock::now();
  }

  void exit(nb::handle exception) {
    if (record_ != nullptr && !is_on_its_thread()) {
      raise_invalid_input("the record of a call is left by another thread than entered it");
    }
    const std::unique_ptr<CallRecord> record = std::move(record_);
    if (record != nullptr && exception.is_none()) {
      record->finish(seconds(entered_, Clock::now()));
    }
  }

  void copied(std::uint64_t bytes) {
    if (record_) {
      record_->copied(bytes);
    }
  }

 private:
  bool is_on_its_thread() const { return thread_ == std::this_thread::get_id(); }

  EntryPoint entry_ = EntryPoint::kQuantize;
  std::unique_ptr<CallRecord> record_;
  std::thread::id thread_;
  Clock::time_point entered_;
};

nb::dict metrics() {
  const nb::object described = nb::module_::import_("quarrow.descriptions").attr("EntryMetrics");
  nb::dict result;
  for (std::size_t i = 0; i < kEntryPoints; ++i) {
    const auto entry = static_cast<EntryPoint>(i);
    const EntryTotals totals = totals_of(entry);
    const std::string_view name = name_of(entry);
    result[nb::str(name.data(), name.size())] =
        described("calls"_a = totals.calls, "layers"_a = totals.layers,
                  "bytes_in"_a = totals.bytes_in, "bytes_copied"_a = totals.bytes_copied,
                  "seconds"_a = totals.seconds, "errors"_a = totals.errors);
  }
  return result;
}

constexpr const char* kMetricsDoc = R"(What the calls of this process did so far, by entry point.

Calls count when they end. Layers and bytes are those of results: a call that raised adds itself and
an error, and what it had copied by then. Calls of less than 64 KB are counted but not timed, file
jobs always are.

Returns
-------
dict of str to EntryMetrics
    ``quantize``, ``quantize_batch``, ``quantize_arrow``, ``dequantize`` (the method too),
    ``dequantize_batch``, ``dequantize_arrow``, ``quantize_file``, ``dequantize_file``,
    ``convert_file``, ``save``, ``quantize_state_dict``, ``dequantize_state_dict`` and
    ``legacy.quantize``, each with ``calls``, ``layers``, ``bytes_in``, ``bytes_copied``,
    ``seconds`` and ``errors``.

Examples
--------
>>> import numpy as np, quarrow as qr
>>> qr.reset_metrics()
>>> q = qr.quantize(np.ones((4, 256), np.float32), "int8")
>>> qr.metrics()["quantize"]
EntryMetrics(calls=1, layers=1, bytes_in=4096, bytes_copied=0, seconds=0.0, errors=0)
)";

constexpr const char* kResetDoc = R"(Set all figures of ``metrics()`` to zero.

A warning that was logged is not logged again after it.

Examples
--------
>>> import quarrow as qr
>>> qr.reset_metrics()
>>> sum(each.calls for each in qr.metrics().values())
0
)";

}  // namespace

void bind_metrics(nb::module_& m) {
  prepare_call_log();
  using Self = ScopedCallRecord;
  nb::class_<Self>(m, "CallRecord", "Counts one call of an entry point, which its body encloses.")
      .def(nb::init<std::string_view>(), "entry"_a)
      .def(
          "__enter__",
          [](nb::handle_t<Self> self) {
            nb::cast<Self&>(self).enter();
            return nb::borrow(self);
          },
          nb::sig("def __enter__(self) -> CallRecord"))
      .def(
          "__exit__", [](Self& self, nb::handle type, nb::handle, nb::handle) { self.exit(type); },
          "type"_a.none(), "value"_a.none(), "traceback"_a.none(),
          nb::sig("def __exit__(self, type: object, value: object, traceback: object) -> None"))
      .def("copied", &Self::copied, "bytes"_a, "Count bytes of input that were just copied.");
  m.def("metrics", &metrics,
        nb::sig("def metrics() -> dict[str, quarrow.descriptions.EntryMetrics]"), kMetricsDoc);
  m.def("reset_metrics", &reset_totals, kResetDoc);
}

}  // namespace quarrow::python

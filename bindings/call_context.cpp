// SPDX-License-Identifier: Apache-2.0
#include "call_context.h"

#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>

#include "errors.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

// More threads than this are a mistake in the caller's arithmetic.
constexpr std::size_t kMostThreads = 1024;

constexpr const char* kThreadsVariable = "QUARROW_NUM_THREADS";

[[noreturn]] void raise_threads(std::string_view what, const std::string& received) {
  raise_invalid_input(std::string(what) + " must be a whole number from 1 to " +
                      std::to_string(kMostThreads) + ", not " + received);
}

// QUARROW_NUM_THREADS, or the CPUs; nothing when the variable is unusable.
std::optional<std::size_t> threads_of_environment() {
  const char* variable = std::getenv(kThreadsVariable);
  if (variable == nullptr || *variable == '\0') {
    return available_cpus();
  }
  const std::string_view text = variable;
  std::size_t threads = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), threads);
  if (error != std::errc() || end != text.data() + text.size() || threads == 0 ||
      threads > kMostThreads) {
    return std::nullopt;
  }
  return threads;
}

std::size_t default_threads() {
  // Read once: small calls would notice. Nothing may raise while the static is made, since a thread
  // that waits for it holds the lock.
  static const std::optional<std::size_t> threads = threads_of_environment();
  if (!threads) {
    const char* received = std::getenv(kThreadsVariable);
    raise_threads("the environment variable QUARROW_NUM_THREADS",
                  "'" + std::string(received == nullptr ? "" : received) + "'");
  }
  return *threads;
}

}  // namespace

std::size_t threads_argument(nb::handle threads) {
  if (threads.is_none()) {
    return default_threads();
  }
  if (!PyBool_Check(threads.ptr()) && PyIndex_Check(threads.ptr())) {
    const Py_ssize_t count = PyNumber_AsSsize_t(threads.ptr(), nullptr);
    if (count == -1 && PyErr_Occurred() != nullptr) {
      // An array of several numbers, for one, has __index__ too, and refuses.
      if (PyErr_ExceptionMatches(PyExc_Exception) == 0) {
        throw nb::python_error();
      }
      PyErr_Clear();
    }
    if (count >= 1 && static_cast<std::size_t>(count) <= kMostThreads) {
      return static_cast<std::size_t>(count);
    }
  }
  raise_threads("threads", short_repr(threads));
}

std::string_view name_argument(nb::handle name) {
  if (name.is_none()) {
    return {};
  }
  if (!PyUnicode_Check(name.ptr())) {
    raise_invalid_input("name must be a str or None, not " + short_repr(name));
  }
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(name.ptr(), &size);
  if (text == nullptr) {
    PyErr_Clear();
    raise_invalid_input("name must be valid Unicode, not " + short_repr(name));
  }
  return {text, static_cast<std::size_t>(size)};
}

Target target_in_use() {
  static const std::optional<Target> target = default_target();
  if (target) {
    return *target;
  }
  const nb::object readable = nb::module_::import_("quarrow.isa_names").attr("readable_isa");
  std::string runnable;
  for (const Target each : runnable_targets()) {
    runnable += runnable.empty() ? "" : ", ";
    runnable += utf8_of(readable(name_of(each)));
  }
  raise_invalid_input("the environment variable QUARROW_FORCE_ISA names '" +
                      std::string(forced_target_name()) +
                      "', which cannot run here; this machine can run " + runnable);
}

Executor& executor_in_use() {
  static const std::string named = [] {
    const char* variable = std::getenv("QUARROW_EXECUTOR");
    return std::string(variable == nullptr ? "" : variable);
  }();
  static Executor* const executor = named.empty() ? &default_executor() : executor_from_name(named);
  if (executor != nullptr) {
    return *executor;
  }
  raise_invalid_input("the environment variable QUARROW_EXECUTOR must be '" +
                      std::string(default_executor().name()) + "' or '" +
                      std::string(plain_executor().name()) + "', not '" + named + "'");
}

bool SignalPoll::keep_going() noexcept {
  const LockedScope locked;
  return PyErr_CheckSignals() == 0 && (next_ == nullptr || next_->keep_going());
}

CoreCall::CoreCall(nb::handle threads, std::uint64_t bytes, Poll* poll)
    : poll_(poll),
      release_lock_(bytes >= kSmallCallBytes),
      context_{.executor = &executor_in_use(),
               .target = target_in_use(),
               .threads = threads_argument(threads),
               .poll = release_lock_ ? &poll_ : nullptr} {}

}  // namespace quarrow::python

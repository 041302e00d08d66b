// SPDX-License-Identifier: Apache-2.0
//
// Python exceptions, and the only place where words are made from what the core reports. Every
// function needs the lock, and throws nanobind::python_error with the exception set.
#pragma once

#include <nanobind/nanobind.h>

#include <exception>
#include <new>
#include <span>
#include <string>
#include <string_view>

#include "quarrow/core/status.h"

namespace quarrow::python {

// What a person needs to know about the layer that a Status speaks of.
struct LayerFacts {
  nanobind::handle name;                     // a str, or None when the caller gave no name
  std::span<const std::int64_t> shape = {};  // as the caller sees it; not for too many dimensions
  std::uint64_t cols = 1;                    // of the matrix: index / cols is the row
};

// InvalidInputError. The message gets "layer 'x': " in front when `name` is a str.
[[noreturn]] void raise_invalid_input(std::string_view message, nanobind::handle name = {});

// UnsupportedFormatError, in the same way.
[[noreturn]] void raise_unsupported_format(std::string_view message, nanobind::handle name = {});

// The exception that `status`, which is not ok, stands for. kCancelled: the exception that the poll
// left set in this thread.
[[noreturn]] void raise_status(const Status& status, const LayerFacts& layer);

// Whether the exception is one of quarrow.exceptions.
bool is_quarrow_error(const nanobind::python_error& error);

// Whether the Python error that is set says that an object cannot do what it was asked. It is
// cleared then. KeyboardInterrupt and its like are not for us to stop, and what an exporter met
// when it read its data (a file that was cut short, a disk that fails, no memory) is no refusal.
bool is_refusal();

// A str of UTF-8, where other bytes are shown as \xff: foreign text, which may be anything.
nanobind::str text_of_bytes(std::string_view bytes);

// QuarrowError: this process was forked while the call ran, and is the child.
[[noreturn]] void raise_forked();

// Runs `body`. What it throws stays set as the exception of this thread, and the answer is false:
// for callers through which no C++ exception may pass.
template <typename Body>
bool kept_as_python_error(Body body) noexcept {
  try {
    body();
    return true;
  } catch (nanobind::python_error& error) {
    error.restore();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return false;
}

// The text of a str. nanobind's own way to a std::string ends the process where there is no memory.
std::string utf8_of(nanobind::handle text);

// repr(object) as UTF-8, cut where it is longer than a line.
std::string short_repr(nanobind::handle object);

// (2, 3), as Python writes a tuple.
std::string shape_text(std::span<const std::int64_t> shape);

}  // namespace quarrow::python

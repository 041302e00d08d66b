// SPDX-License-Identifier: Apache-2.0
//
// How far a file job is, told to a callable.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <string_view>

#include "errors.h"
#include "interpreter_lock.h"
#include "open_checkpoint.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow::python {

// Its exception stays set in the calling thread.
class PythonProgress final : public FileProgress {
 public:
  explicit PythonProgress(nanobind::handle callback) : callback_(callback) {}

  bool advanced(std::uint64_t done, std::uint64_t total, std::string_view name) noexcept override {
    const LockedScope locked;
    return kept_as_python_error([&] { callback_(done, total, text_object(name)); });
  }

 private:
  nanobind::handle callback_;
};

}  // namespace quarrow::python

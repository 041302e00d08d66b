// SPDX-License-Identifier: Apache-2.0
//
// The words for what can be wrong with a file, and why a tensor of it stays as it is. The raising
// functions need the lock, and throw nanobind::python_error with the exception set.
#pragma once

#include <nanobind/nanobind.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

#include "errors.h"
#include "quarrow/containers/atomic_file.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/container.h"
#include "quarrow/layouts/layout.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow::python {

// CheckpointError with file, position, rule and name.
[[noreturn]] void raise_checkpoint_fault(const CheckpointFault& fault);
// InvalidInputError.
[[noreturn]] void raise_path_fault(const PathFault& fault);
// InvalidInputError, of a type that the container lacks UnsupportedFormatError.
[[noreturn]] void raise_container_fault(const ContainerFault& fault);
// Of a tensor of the plan, as raise_status().
[[noreturn]] void raise_layer_fault(const LayerFault& fault, const FilePlan& plan);
// The OSError subclass of its errno, with the file's name.
[[noreturn]] void raise_os_error(const std::filesystem::filesystem_error& error);

// Why a tensor was not quantized.
std::string_view text_of(StayReason reason) noexcept;

// Runs `job`, which may release the lock while it works, and turns what containers and pipeline
// throw into Python's exceptions.
template <typename Job>
auto with_file_errors(Job&& job) {
  try {
    return job();
  } catch (const CheckpointFault& fault) {
    raise_checkpoint_fault(fault);
  } catch (const PathFault& fault) {
    raise_path_fault(fault);
  } catch (const ContainerFault& fault) {
    raise_container_fault(fault);
  } catch (const std::filesystem::filesystem_error& error) {
    raise_os_error(error);
  } catch (const AtomicFile::Stopped&) {
    throw nanobind::python_error();  // of the poll that stopped it
  } catch (const std::length_error&) {
    raise_invalid_input("the new file would be longer than 63 bits can say");
  }
}

}  // namespace quarrow::python

// SPDX-License-Identifier: Apache-2.0
//
// What a plan does to the tensors of a file, counted, for the sentences that Python makes of it.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "quarrow/pipeline/file_plan.h"
#include "quarrow/quantize/execute.h"

namespace quarrow::python {

// What a plan does to a tensor, as people read it.
enum class Action : std::uint8_t { kKept, kConverted, kQuantized, kRestored, kRequantized };
Action action_of(const TensorPlan& planned) noexcept;
std::string_view word_of(Action action) noexcept;
// Why the tensor stays, with the dialect of the quantized layer that it is part of.
std::string reason_text(const TensorPlan& planned);

// How many tensors have that action.
std::size_t count_of(const FilePlan& plan, Action action) noexcept;
// Why tensors stay, the most first: the name of the reason, its text, their number.
nanobind::list reason_counts(const FilePlan& plan);
// How many of the quantized tensors are factors of an adapter.
std::size_t adapter_factors(const Checkpoint& source, const FilePlan& plan);
// How quantized layers are stored that cannot be restored, and their number.
nanobind::list left_counts(const StoredLayers& layers);
// Keys of the metadata that have other values in other files.
nanobind::list differing_keys(const Checkpoint& source);
nanobind::list text_list(std::span<const std::string_view> texts);
// Of a layer: max_abs, rmse, sqnr_db and cosine.
nanobind::dict error_figures(const ErrorSums& sums);

}  // namespace quarrow::python

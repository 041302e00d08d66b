// SPDX-License-Identifier: Apache-2.0
#include "job_facts.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "file_errors.h"
#include "open_checkpoint.h"

namespace nb = nanobind;

namespace quarrow::python {

Action action_of(const TensorPlan& planned) noexcept {
  if (planned.is_copied()) return Action::kKept;
  if (planned.is_quantized()) {
    return planned.is_decoded() ? Action::kRequantized : Action::kQuantized;
  }
  return planned.is_decoded() ? Action::kRestored : Action::kConverted;
}

std::string_view word_of(Action action) noexcept {
  constexpr std::array<std::string_view, 5> kWords = {"kept", "converted", "quantized", "restored",
                                                      "requantized"};
  return kWords.at(static_cast<std::size_t>(action));
}

std::string reason_text(const TensorPlan& planned) {
  std::string text(text_of(planned.reason));
  const bool of_dialect =
      planned.reason == StayReason::kAlreadyQuantized || planned.reason == StayReason::kNotDecoded;
  if (of_dialect && !planned.stored_as.empty()) text.append(" (").append(planned.stored_as) += ')';
  return text;
}

std::size_t count_of(const FilePlan& plan, Action action) noexcept {
  return static_cast<std::size_t>(std::ranges::count(plan.tensors, action, action_of));
}

nb::list reason_counts(const FilePlan& plan) {
  std::map<std::pair<StayReason, std::string>, std::size_t> counts;
  for (const TensorPlan& tensor : plan.tensors) {
    if (tensor.reason != StayReason::kNone) ++counts[{tensor.reason, reason_text(tensor)}];
  }
  std::vector<std::pair<std::size_t, std::pair<StayReason, std::string>>> sorted;
  sorted.reserve(counts.size());
  for (const auto& [reason, count] : counts) sorted.emplace_back(count, reason);
  std::ranges::stable_sort(sorted, std::greater(), [](const auto& each) { return each.first; });
  nb::list reasons;
  for (const auto& [count, reason] : sorted) {
    reasons.append(nb::make_tuple(name_of(reason.first), reason.second, count));
  }
  return reasons;
}

std::size_t adapter_factors(const Checkpoint& source, const FilePlan& plan) {
  const bool all = is_adapter_file(source.tensors);
  const auto is_factor = [all](const TensorPlan& tensor) {
    return tensor.is_quantized() && (all || is_adapter_factor(tensor.name()));
  };
  return static_cast<std::size_t>(std::ranges::count_if(plan.tensors, is_factor));
}

nb::list left_counts(const StoredLayers& layers) {
  nb::list left;
  for (const auto& [as, count] : layers.left()) {
    left.append(nb::make_tuple(text_object(as), count));
  }
  return left;
}

nb::list differing_keys(const Checkpoint& source) {
  std::set<std::string_view> keys;
  for (const auto& item : source.differing_metadata) keys.insert(item.first);
  return text_list(std::vector(keys.begin(), keys.end()));
}

nb::list text_list(std::span<const std::string_view> texts) {
  nb::list list;
  for (const std::string_view text : texts) list.append(text_object(text));
  return list;
}

nb::dict error_figures(const ErrorSums& sums) {
  nb::dict figures;
  figures["max_abs"] = sums.max_abs;
  figures["rmse"] = sums.rmse();
  figures["sqnr_db"] = sums.sqnr_db();
  figures["cosine"] = sums.cosine();
  return figures;
}

}  // namespace quarrow::python

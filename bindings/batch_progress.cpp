// SPDX-License-Identifier: Apache-2.0
#include "batch_progress.h"

#include "errors.h"

namespace nb = nanobind;

namespace quarrow::python {

BatchProgress::BatchProgress(nb::handle callback, std::span<const nb::object> names,
                             std::span<const std::size_t> positions)
    : callback_(callback),
      names_(names),
      positions_(positions),
      order_(callback.is_none() ? 0 : names.size()) {
  std::size_t next = 0;
  for (std::size_t position = 0; position < order_.size(); ++position) {
    if (next < positions.size() && positions[next] == position) {
      ++next;
    } else {
      order_[finished_++] = position + 1;
    }
  }
}

void BatchProgress::finished(std::size_t layer) noexcept {
  const std::size_t at = finished_.fetch_add(1, std::memory_order_relaxed);
  order_[at].store(positions_[layer] + 1, std::memory_order_release);
}

bool BatchProgress::keep_going() noexcept {
  return kept_as_python_error([this] { report(); });
}

void BatchProgress::finish() { report(); }

void BatchProgress::report() {
  while (reported_ < order_.size()) {
    const std::size_t position = order_[reported_].load(std::memory_order_acquire);
    if (position == 0) {
      return;
    }
    ++reported_;
    callback_(reported_, order_.size(), names_[position - 1]);
  }
}

}  // namespace quarrow::python

// SPDX-License-Identifier: Apache-2.0
#include "made_entries.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "errors.h"
#include "numpy_arrays.h"
#include "open_checkpoint.h"
#include "output_memory.h"
#include "torch_tensors.h"

namespace nb = nanobind;

namespace quarrow::python {

void add_entries(const FilePlan& plan, const MemoryTensors& source,
                 std::shared_ptr<std::byte> memory, bool as_torch, nb::dict& entries) {
  const Torch* const torch = as_torch ? imported_torch() : nullptr;
  std::byte* const first = memory.get();
  const nb::object base = memory_capsule(memory);
  const OutputPlan& output = plan.outputs.at(0);
  std::vector<std::int64_t> shape;
  for (std::size_t index = 0; index < output.entries.size(); ++index) {
    const TensorEntry& entry = output.entries[index];
    const TensorPlan& planned = plan.tensors[output.tensors[index]];
    const std::uint32_t number = planned.source->file;
    // A str that has its hash; no subclass, which would be pickled with the result.
    const nb::handle given = source.names()[number];
    const bool same_name = entry.name.data() == planned.source->name.data() &&
                           entry.name.size() == planned.source->name.size() &&
                           PyUnicode_CheckExact(given.ptr()) != 0;
    const nb::object name = same_name ? nb::borrow(given) : nb::object(text_object(entry.name));
    nb::object value;
    if (planned.is_copied()) {
      value = source.values()[number];
    } else if (torch != nullptr) {
      value = new_torch_tensor(*torch, first + output.memory_positions.at(index), entry.dtype,
                               entry.shape, memory);
    } else {
      shape.assign(entry.shape.begin(), entry.shape.end());
      value = new_array(first + output.memory_positions.at(index), entry.dtype, shape, base);
    }
    if (PyDict_SetItem(entries.ptr(), name.ptr(), value.ptr()) != 0) throw nb::python_error();
  }
}

}  // namespace quarrow::python

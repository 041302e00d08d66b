// SPDX-License-Identifier: Apache-2.0
//
// From quantized tensors to values, as Python callers want them.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <span>

#include "quantized_tensor.h"
#include "quarrow/core/dtype.h"
#include "quarrow/quantize/format.h"
#include "quarrow/quantize/plan.h"

namespace quarrow::python {

// The plan of one layer that is known by its shape alone, without tiles. Raises InvalidInputError.
Plan plan_of_shape(const Format& format, DType dtype, std::span<const std::int64_t> shape,
                   nanobind::handle name);

// The values of one tensor: in `out`, a new numpy array of `dtype`, or what `like` is. Raises
// InvalidInputError.
nanobind::object dequantize(const QuantizedTensor& tensor, nanobind::handle dtype,
                            nanobind::handle out, nanobind::handle like, nanobind::handle threads);

// The same of a mapping of names to tensors, in one job: a dict of the names. `out`: None, or a
// mapping with an array for each name.
nanobind::dict dequantize_batch(nanobind::handle tensors, nanobind::handle dtype,
                                nanobind::handle out, nanobind::handle like,
                                nanobind::handle threads);

}  // namespace quarrow::python

// SPDX-License-Identifier: Apache-2.0
//
// Quantized layers as Arrow record batches, in the memory that the engine wrote.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "quarrow/arrow/c_data.h"
#include "quarrow/quantize/execute.h"
#include "quarrow/quantize/plan.h"

namespace quarrow {

// A row of the result.
struct ResultRow {
  std::optional<std::string> name;
  LayerPlan layer;  // format, dtype, encoding
  std::vector<std::int64_t> shape;
  QuantizedView stored;
  std::shared_ptr<const void> memory;  // keeps `stored` alive
};

// layer_name: string, codes: large_binary, scales: list<float32>, zero_points: list<uint8>, shape:
// list<int64>, format: string, params: string, a JSON object of the format's fields and of the
// dtype before, tensor_scale: float32, scale_codes: large_binary (scales of other types than
// float32), channel_scales and codebook: list<float32>. Null is what a format does not have.
void export_schema(ArrowSchema* out);

// How many of the rows, from the first on, one array can hold without a copy: the parts of each lie
// behind those of the row before, in the same memory. Scales of tensors, a number each, are copied.
std::size_t rows_of_one_array(std::span<const ResultRow> rows);

// Exports rows of one array. All other parts are those of the rows; they live until
// the consumer has released the array and all children that it moved out of it. Needs no Python.
void export_rows(std::span<const ResultRow> rows, ArrowArray* out);

// A stream of as many arrays as it takes. Each consumer gets its own; `rows` live until the last
// one is released.
void export_stream(std::shared_ptr<const std::vector<ResultRow>> rows, ArrowArrayStream* out);

}  // namespace quarrow

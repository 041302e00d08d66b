// SPDX-License-Identifier: Apache-2.0
//
// Arrow's PyCapsule interface (https://arrow.apache.org/docs/format/CDataInterface/
// PyCapsuleInterface.html). All functions need the lock.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <vector>

#include "layer_batch.h"
#include "quantized_tensor.h"
#include "quarrow/arrow/c_data.h"
#include "quarrow/arrow/layer_export.h"

namespace quarrow::python {

using ResultRows = std::shared_ptr<const std::vector<ResultRow>>;

// Capsules that release what nobody has taken out of them.
nanobind::object schema_capsule();
nanobind::tuple array_capsules(const ResultRows& rows);  // schema and array; rows of one array
nanobind::object stream_capsule(const ResultRows& rows);

// A stream whose arrays `next` makes: a callable that returns ArrowRows, or None at the end. It is
// called with the lock, on whatever thread the consumer asks from; its exceptions become the
// consumer's errors.
nanobind::object stream_capsule(nanobind::handle next);

// Take what a capsule holds. Raise InvalidInputError for another capsule, or one used before.
ArrowOwner<ArrowSchema> take_schema(nanobind::handle capsule);
ArrowOwner<ArrowArray> take_array(nanobind::handle capsule);
ArrowOwner<ArrowArrayStream> take_stream(nanobind::handle capsule);

// A tensor as a row; its memory lives as long as the row.
ResultRow row_of(const QuantizedTensor& tensor);

// What `batch` made.
std::vector<ResultRow> result_rows(LayerBatch& batch, const QuantizedLayers& made);

// What one call made: quantized layers, to be exported any number of times.
class ArrowRows {
 public:
  explicit ArrowRows(std::vector<ResultRow> rows, nanobind::dict errors = {},
                     const CallStats& stats = {})
      : rows_(std::make_shared<const std::vector<ResultRow>>(std::move(rows))),
        errors_(std::move(errors)),
        stats_(stats) {}
  const ResultRows& rows() const noexcept { return rows_; }
  nanobind::dict errors() const { return errors_; }  // name: QuarrowError
  const CallStats& stats() const noexcept { return stats_; }
  bool are_one_array() const {
    return rows_->empty() || rows_of_one_array(*rows_) == rows_->size();
  }

 private:
  ResultRows rows_;
  nanobind::dict errors_;
  CallStats stats_;
};

}  // namespace quarrow::python

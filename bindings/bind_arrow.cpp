// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrow_capsules.h"
#include "arrow_errors.h"
#include "bindings.h"
#include "call_context.h"
#include "errors.h"
#include "interpreter_lock.h"
#include "layer_batch.h"
#include "metrics.h"
#include "option_arguments.h"
#include "quarrow/arrow/layer_table.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

// The batches of a table, a record batch or a stream, each to be taken once.
class ArrowSource {
 public:
  // `exported`: what __arrow_c_stream__ returned, or the pair of __arrow_c_array__.
  ArrowSource(nb::handle exported, LayerColumns columns) {
    ArrowOwner<ArrowSchema> schema;
    if (nb::isinstance<nb::tuple>(exported) && nb::len(exported) == 2) {
      schema = take_schema(exported[0]);
      only_ = take_array(exported[1]);
    } else {
      stream_ = take_stream(exported);
      if (stream_->get_schema == nullptr || stream_->get_next == nullptr) {
        raise_invalid_input("the Arrow stream lacks its functions");
      }
      check(stream_->get_schema(stream_.get(), schema.get()));
    }
    try {
      table_.emplace(*schema, std::move(columns));
    } catch (const ArrowFault& fault) {
      raise_arrow_fault(fault, nb::none(), 0);
    }
  }

  // The next batch; holds nothing at the end. The producer may need the lock, or wait for a disk;
  // meanwhile it must not be asked again, from another thread or by its own code.
  ArrowOwner<ArrowArray> next() {
    if (reading_.exchange(true)) {
      raise_invalid_input("the stream is being read; read it from one thread at a time");
    }
    const Reading reading(reading_);
    if (only_) {
      return std::move(only_);
    }
    ArrowOwner<ArrowArray> batch;
    if (!stream_) {
      return batch;
    }
    ++begun_;
    int code = 0;
    {
      const UnlockedScope unlocked;
      code = stream_->get_next(stream_.get(), batch.get());
    }
    check(code);
    if (!batch) {
      stream_.reset();
      --begun_;
    }
    return batch;
  }

  // Batches of a stream that were asked for, the one that failed too.
  std::size_t begun() const { return begun_; }

  const LayerTable& table() const { return *table_; }

 private:
  // Clears the flag at the end of a scope.
  class Reading {
   public:
    explicit Reading(std::atomic<bool>& flag) noexcept : flag_(flag) {}
    ~Reading() { flag_ = false; }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    std::atomic<bool>& flag_;
  };

  void check(int code) {
    if (code == 0) {
      return;
    }
    const char* const said =
        stream_->get_last_error == nullptr ? nullptr : stream_->get_last_error(stream_.get());
    const std::string text =
        "the Arrow stream failed: " + std::string(said == nullptr ? std::strerror(code) : said);
    if (code == EINVAL) {
      raise_invalid_input(text);
    }
    const nb::object error = nb::handle(PyExc_OSError)(code, text_of_bytes(text));
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
    throw nb::python_error();
  }

  ArrowOwner<ArrowArrayStream> stream_;
  ArrowOwner<ArrowArray> only_;
  std::optional<LayerTable> table_;
  std::atomic<bool> reading_ = false;
  std::size_t begun_ = 0;
};

// Adds the rows of batches to a LayerBatch.
class RowReader {
 public:
  RowReader(const LayerTable& table, LayerBatch& layers, const Format& format, nb::handle format_of)
      : table_(table), layers_(layers), format_(format), format_of_(format_of) {}

  // False: a layer failed, and ends the reading.
  bool add(const ArrowArray& batch) {
    try {
      table_.check(batch);
    } catch (const ArrowFault& fault) {
      raise_arrow_fault(fault, nb::none(), first_row_);
    }
    for (std::int64_t row = 0; row < batch.length; ++row) {
      if (!add_row(batch, row)) {
        return false;
      }
    }
    first_row_ += batch.length;
    return true;
  }

 private:
  bool add_row(const ArrowArray& batch, std::int64_t row) {
    const nb::object name = name_of_row(batch, row);
    Format format = format_;
    if (!format_of_.is_none()) {
      const nb::object own = format_of_(name);
      if (own.is_none()) {
        return true;
      }
      format = nb::cast<const Format&>(own);
    }
    return layers_.add(name, format, [&] {
      try {
        LayerTable::Layer layer = table_.layer(batch, row);
        return LayerView{layer.view, std::move(layer.shape)};
      } catch (const ArrowFault& fault) {
        raise_arrow_fault(fault, name, first_row_);
      }
    });
  }

  nb::object name_of_row(const ArrowArray& batch, std::int64_t row) const {
    std::string_view text;
    try {
      text = table_.name(batch, row);
    } catch (const ArrowFault& fault) {
      raise_arrow_fault(fault, nb::none(), first_row_);
    }
    nb::object name = nb::steal(
        PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "strict"));
    const std::string place = table_.columns().name + "', row " + std::to_string(first_row_ + row);
    if (!name.is_valid()) {
      PyErr_Clear();
      raise_invalid_input("column '" + place + ": the name is not UTF-8");
    }
    if (layers_.has(name)) {
      raise_invalid_input(
          "column '" + place + ": an earlier row has this name too; names must differ", name);
    }
    return name;
  }

  const LayerTable& table_;
  LayerBatch& layers_;
  const Format& format_;
  nb::handle format_of_;
  std::int64_t first_row_ = 0;
};

// Where the engine reads the weights of each row of the next batch.
std::vector<std::uintptr_t> addresses_read(ArrowSource& source) {
  std::vector<std::uintptr_t> addresses;
  const ArrowOwner<ArrowArray> batch = source.next();
  try {
    if (batch) {
      source.table().check(*batch);
    }
    for (std::int64_t row = 0; batch && row < (*batch).length; ++row) {
      const TensorView view = source.table().layer(*batch, row).view;
      addresses.push_back(reinterpret_cast<std::uintptr_t>(view.data));
    }
  } catch (const ArrowFault& fault) {
    raise_arrow_fault(fault, nb::none(), 0);
  }
  return addresses;
}

// Quantizes the next batch of the source, or with `whole` all that are left, as one job. Returns
// ArrowRows, or None when there is no batch left.
nb::object quantize_batches(ArrowSource& source, nb::handle format, nb::handle format_of,
                            nb::handle on_error, nb::handle progress, nb::handle nonfinite,
                            nb::handle threads, bool whole) {
  CallRecord record(EntryPoint::kQuantizeArrow);
  const Clock::time_point entered = Clock::now();
  const auto& wanted = nb::cast<const Format&>(format);
  const NonFinitePolicy policy = non_finite_argument(nonfinite);
  LayerBatch layers(error_policy_argument(on_error));
  RowReader reader(source.table(), layers, wanted, format_of);
  std::deque<ArrowOwner<ArrowArray>> batches;  // read until the job is done
  do {
    batches.push_back(source.next());
  } while (batches.back() && reader.add(*batches.back()) && whole);
  if (!batches.front() && !whole) {
    record.forget();
    return nb::none();
  }
  const bool small = layers.is_small();
  const Clock::time_point viewed = small ? entered : Clock::now();
  CallStats stats;
  stats.view_seconds = seconds(entered, viewed);
  const QuantizedLayers made = layers.run(policy, threads, progress, stats, LayerMemory::kOneSlab);
  std::vector<ResultRow> rows = result_rows(layers, made);
  stats.total_seconds = seconds(entered, Clock::now());
  if (!small) {
    stats.export_seconds =
        stats.total_seconds - stats.view_seconds - stats.alloc_seconds - stats.core_seconds;
  }
  nb::object result = nb::cast(ArrowRows(std::move(rows), layers.errors(), stats));
  record.add(layers.index().size(), stats.bytes_in);
  record.failed(layers.errors().size());
  record.finish(stats.total_seconds, {}, format_of.is_none() ? wanted.spec : nullptr);
  return result;
}

}  // namespace

void bind_arrow(nb::module_& m) {
  nb::class_<ArrowRows>(m, "ArrowRows", "Quantized layers, to be exported as Arrow data.")
      .def("__len__", [](const ArrowRows& self) { return self.rows()->size(); })
      .def_prop_ro("errors", &ArrowRows::errors,
                   nb::sig("def errors(self) -> dict[str, quarrow.exceptions.QuarrowError]"),
                   "Of the layers that failed, by name.")
      .def_prop_ro(
          "stats", [](const ArrowRows& self) { return call_stats(self.stats()); },
          nb::sig("def stats(self) -> quarrow.descriptions.CallStats"), "Of the call.")
      .def_prop_ro("are_one_array", &ArrowRows::are_one_array,
                   "Whether one record batch can hold them without a copy.")
      .def(
          "array", [](const ArrowRows& self) { return array_capsules(self.rows()); },
          nb::sig("def array(self) -> tuple[object, object]"),
          "Capsules of the schema and of the array.")
      .def(
          "stream", [](const ArrowRows& self) { return stream_capsule(self.rows()); },
          nb::sig("def stream(self) -> object"), "A capsule of a stream.");
  nb::class_<ArrowSource>(m, "ArrowSource", "The record batches that an object exported.")
      .def(
          "__init__",
          [](ArrowSource* self, nb::handle exported, std::string_view name,
             std::string_view weights, std::string_view shape) {
            new (self) ArrowSource(exported,
                                   {std::string(name), std::string(weights), std::string(shape)});
          },
          "exported"_a, nb::kw_only(), "name_column"_a, "weights_column"_a, "shape_column"_a,
          nb::sig("def __init__(self, exported: object, *, name_column: str, weights_column: str, "
                  "shape_column: str) -> None"))
      .def("quantize", &quantize_batches, "format"_a, nb::kw_only(), "format_of"_a.none(),
           "on_error"_a.none(), "progress"_a.none(), "nonfinite"_a.none(), "threads"_a.none(),
           "whole"_a,
           nb::sig("def quantize(self, format: Format, *, format_of: "
                   "collections.abc.Callable[[str], Format | None] | None, on_error: str, "
                   "progress: collections.abc.Callable[[int, int, str], object] | None, "
                   "nonfinite: str, threads: int | None, whole: bool) -> ArrowRows | None"),
           "Quantize the next batch, or with whole all that are left as one; None at the end.")
      .def_prop_ro("begun", &ArrowSource::begun,
                   "Batches of a stream that were asked for, the one that failed too.")
      .def("addresses_read", &addresses_read,
           "Where the engine reads the weights of each row of the next batch.");
  m.def("arrow_schema", &schema_capsule, nb::sig("def arrow_schema() -> object"),
        "A capsule of the schema of every result.");
  m.def(
      "arrow_stream", [](nb::handle next) { return stream_capsule(next); }, "next"_a,
      nb::sig("def arrow_stream(next: collections.abc.Callable[[], ArrowRows | None]) -> object"),
      "A capsule of a stream whose batches ``next`` makes.");
}

}  // namespace quarrow::python

// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <limits>
#include <string>
#include <vector>

#include "bindings.h"
#include "call_context.h"
#include "errors.h"
#include "file_errors.h"
#include "quarrow/containers/safetensors.h"
#include "quarrow/pipeline/quantize_file.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

nb::str name_object(const TensorEntry& tensor) {
  return nb::str(tensor.name.data(), tensor.name.size());
}

std::string path_bytes(const nb::bytes& path) { return {path.c_str(), path.size()}; }

// Hands the progress of a job to a callable. Its exception stays set in the calling thread.
class PythonProgress final : public FileProgress {
 public:
  explicit PythonProgress(nb::handle callback) : callback_(callback) {}

  bool advanced(std::uint64_t done, std::uint64_t total, std::string_view name) noexcept override {
    const nb::gil_scoped_acquire locked;
    try {
      callback_(done, total, nb::str(name.data(), name.size()));
    } catch (nb::python_error& error) {
      error.restore();
      return false;
    }
    return true;
  }

 private:
  nb::handle callback_;
};

nb::dict error_figures(const ErrorSums& sums) {
  nb::dict figures;
  figures["max_abs"] = sums.max_abs;
  figures["rmse"] = sums.rmse();
  figures["sqnr_db"] = sums.sqnr_db();
  figures["cosine"] = sums.cosine();
  return figures;
}

// A checkpoint that is open, the plan for its copy, and what came of it.
class FileJob {
 public:
  explicit FileJob(const nb::bytes& path)
      : source_(with_file_errors([name = path_bytes(path)] {
          const nb::gil_scoped_release unlocked;
          return open_safetensors(name);
        })) {}

  std::size_t size() const { return source_.tensors.size(); }
  nb::str name(std::size_t index) const { return name_object(at(index)); }

  void plan(const std::vector<Format>& formats, const nb::bytes& choices) {
    check_formats(formats);
    const auto* first = reinterpret_cast<const std::uint8_t*>(choices.c_str());
    const std::span<const std::uint8_t> chosen(first, choices.size());
    if (!chosen.empty() && chosen.size() != size()) {
      raise_invalid_input("choices must have one byte for each tensor");
    }
    for (const std::uint8_t choice : chosen) {
      if (choice != kLeaveTensor && choice >= formats.size()) {
        raise_invalid_input("a choice is not the index of a format");
      }
    }
    with_file_errors([&] {
      const nb::gil_scoped_release unlocked;
      plan_ = plan_file(source_, formats, chosen);
    });
  }

  void run(const nb::bytes& destination, bool saturate, nb::handle threads, bool sync,
           bool measure_error, nb::handle progress) {
    check_planned();
    PythonProgress reported(progress);
    const FileJobOptions options{
        .policy = saturate ? NonFinitePolicy::kSaturate : NonFinitePolicy::kRaise,
        .sync = sync,
        .measure_error = measure_error,
        .progress = progress.is_none() ? nullptr : &reported};
    // Files are waited for, so the lock is released whatever their size.
    constexpr std::uint64_t kAnyBytes = std::numeric_limits<std::uint64_t>::max();
    CoreCall call(threads, kAnyBytes);
    try {
      const bool finished = with_file_errors([&, path = path_bytes(destination)] {
        return call.run([&](const Context& context) {
          return quantize_file(source_, plan_, path, options, context, errors_);
        });
      });
      if (!finished) throw nb::python_error();
    } catch (const LayerFault& fault) {
      raise_layer_fault(fault);
    }
    source_.file.close();
  }

  // name, index of the format or None, reason or None, shape, dtype, bytes in and out, error or
  // None
  nb::tuple tensor(std::size_t index) const {
    check_planned();
    const TensorEntry& entry = at(index);
    const TensorPlan& planned = plan_.tensors[index];
    const bool quantized = planned.reason == StayReason::kNone;
    nb::list shape;
    for (const std::uint64_t dimension : entry.shape) shape.append(dimension);
    nb::object error = nb::none();
    if (quantized && !errors_.empty()) error = error_figures(errors_[planned.layer]);
    return nb::make_tuple(
        name_object(entry), quantized ? nb::object(nb::int_(planned.format)) : nb::none(),
        quantized ? nb::none() : nb::cast(text_of(planned.reason)), nb::tuple(shape),
        name_of(entry.dtype), entry.bytes(), planned.bytes_out, error);
  }

  std::size_t adapter_factors() const {
    check_planned();
    std::size_t count = 0;
    for (std::size_t index = 0; index < size(); ++index) {
      const bool quantized = plan_.tensors[index].reason == StayReason::kNone;
      if (quantized && is_adapter_factor(source_.tensors[index].name)) ++count;
    }
    return count;
  }

  std::uint64_t bytes_in() const { return source_.identity.bytes; }
  std::uint64_t bytes_out() const { return plan_.file_bytes; }

 private:
  void check_planned() const {
    if (plan_.file_bytes == 0) raise_invalid_input("plan() comes first");
  }

  const TensorEntry& at(std::size_t index) const {
    if (index >= size()) throw nb::index_error();
    return source_.tensors[index];
  }

  static void check_formats(const std::vector<Format>& formats) {
    for (const Format& format : formats) {
      if (find_layout(format.spec->name, Container::kSafetensors) != nullptr) continue;
      std::string known;
      for (const Layout& layout : layouts()) {
        known += known.empty() ? "" : ", ";
        known += layout.format;
      }
      raise_unsupported_format(
          "format '" + std::string(format.spec->name) +
          "' cannot be written to files; safetensors files can carry: " + known);
    }
  }

  [[noreturn]] void raise_layer_fault(const LayerFault& fault) const {
    const TensorEntry& entry = source_.tensors[fault.tensor];
    const std::vector<std::int64_t> shape(entry.shape.begin(), entry.shape.end());
    const LayerPlan& layer = plan_.quantize.layers[plan_.tensors[fault.tensor].layer];
    raise_status(fault.status, {name_object(entry), shape, layer.cols});
  }

  SafetensorsFile source_;
  FilePlan plan_;
  std::vector<ErrorSums> errors_;
};

}  // namespace

void bind_files(nb::module_& m) {
  nb::class_<FileJob>(m, "FileJob", "One call of quarrow.quantize_file, in its steps.")
      .def(nb::init<const nb::bytes&>(), "path"_a)
      .def("__len__", &FileJob::size)
      .def("name", &FileJob::name, "index"_a, "Of a tensor, in the order of the file.")
      .def("plan", &FileJob::plan, "formats"_a, "choices"_a,
           "Decide on every tensor: a byte each, the index of a format, or 255 to leave it. Empty: "
           "the first format for all.")
      .def("run", &FileJob::run, "destination"_a, nb::kw_only(), "saturate"_a, "threads"_a.none(),
           "sync"_a, "measure_error"_a, "progress"_a.none(),
           nb::sig("def run(self, destination: bytes, *, saturate: bool, threads: int | None, "
                   "sync: bool, measure_error: bool, progress: "
                   "collections.abc.Callable[[int, int, str], object] | None) -> None"),
           "Write the new file.")
      .def("tensor", &FileJob::tensor, "index"_a,
           nb::sig("def tensor(self, index: int) -> tuple[str, int | None, str | None, "
                   "tuple[int, ...], str, int, int, dict[str, float] | None]"),
           "Name, format index, reason to stay, shape, dtype, bytes in, bytes out, error.")
      .def_prop_ro("adapter_factors", &FileJob::adapter_factors,
                   "How many of the quantized tensors are factors of a LoRA.")
      .def_prop_ro("bytes_in", &FileJob::bytes_in, "Of the source file.")
      .def_prop_ro("bytes_out", &FileJob::bytes_out, "Of the new file.");
}

}  // namespace quarrow::python

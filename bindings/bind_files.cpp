// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "call_context.h"
#include "container_argument.h"
#include "errors.h"
#include "file_errors.h"
#include "file_progress.h"
#include "interpreter_lock.h"
#include "job_facts.h"
#include "made_entries.h"
#include "metrics.h"
#include "open_checkpoint.h"
#include "output_memory.h"
#include "quarrow/pipeline/file_job.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

// A checkpoint, the plan for its copy, and what came of it.
class FileJob {
 public:
  // Holds the source by a reference of its own: nanobind's keep_alive asks for memory after the job
  // is there, and without any nobody would end the job.
  explicit FileJob(nb::handle_t<OpenCheckpoint> source)
      : holder_(nb::borrow(source)),
        opened_(nb::cast<const OpenCheckpoint&>(source)),
        source_(opened_.files()),
        stored_(with_file_errors([&] {
          const UnlockedScope unlocked;
          return find_stored_layers(*source_);
        })),
        encoded_(opened_.memory().encoded()) {}

  // Of the source, as the choices of plan() count them.
  std::size_t source_size() const { return source_->tensors.size(); }
  nb::str source_name(std::size_t index) const {
    if (index >= source_size()) throw nb::index_error();
    const StoredLayer* layer = stored_.owner(index);
    return text_object(layer != nullptr ? layer->name : source_->tensors[index].name);
  }
  // Which of them a tensor of the plan is; all of a quantized layer is its codes.
  std::size_t source_index(std::size_t index) const {
    check_planned();
    if (index >= size()) throw nb::index_error();
    const TensorEntry* const first = source_->tensors.entries().data();
    const auto number = static_cast<std::size_t>(plan_.tensors[index].source - first);
    const StoredLayer* layer = stored_.owner(number);
    return layer == nullptr ? number : static_cast<std::size_t>(layer->codes() - first);
  }

  void plan(nb::handle chosen_formats, const nb::bytes& choices, nb::handle dtype,
            std::uint64_t max_shard_bytes, nb::handle runtime, bool in_memory,
            std::string_view container) {
    const Container new_files = container_argument(container);
    std::vector<Format> formats;
    for (const nb::handle each : chosen_formats) formats.push_back(nb::cast<const Format&>(each));
    check_formats(formats, new_files);
    const auto* first = reinterpret_cast<const std::uint8_t*>(choices.c_str());
    const std::span<const std::uint8_t> chosen(first, choices.size());
    if (!chosen.empty() && chosen.size() != source_size()) {
      raise_invalid_input("choices must have one byte for each tensor");
    }
    for (const std::uint8_t choice : chosen) {
      if (choice < kDefaultChoice && choice >= formats.size()) {
        raise_invalid_input("a choice is not the index of a format");
      }
    }
    formats_ = std::move(formats);
    memory_ = nullptr;
    const FilePlanOptions options{float_dtype_argument(dtype), max_shard_bytes,
                                  runtime_argument(runtime), in_memory, new_files};
    with_file_errors([&] {
      const UnlockedScope unlocked;
      plan_ = plan_quantized(*source_, stored_, formats_, chosen, options);
    });
  }

  void plan_floats(bool restore, nb::handle dtype, std::uint64_t max_shard_bytes, bool in_memory,
                   std::string_view container) {
    const FilePlanOptions options{float_dtype_argument(dtype), max_shard_bytes, std::nullopt,
                                  in_memory, container_argument(container)};
    memory_ = nullptr;
    with_file_errors([&] {
      const UnlockedScope unlocked;
      plan_ = restore ? plan_restored(*source_, stored_, options)
                      : plan_converted(*source_, stored_, options);
    });
  }

  nb::list run(const nb::bytes& destination, bool saturate, nb::handle threads, bool sync,
               bool measure_error, bool skip_faults, nb::handle progress) {
    const std::string path(destination.c_str(), destination.size());
    const auto job = [&](const FileJobOptions& options, const Context& context) {
      return run_file_job(*source_, plan_, path, options, context);
    };
    return run_job(job, saturate, threads, sync, measure_error, skip_faults, progress);
  }

  // The same into memory; take_entries() hands it out.
  nb::list run_in_memory(bool saturate, nb::handle threads, bool skip_faults, nb::handle progress) {
    check_planned();
    const std::uint64_t bytes = plan_.outputs[0].memory_bytes;
    const std::shared_ptr<std::byte> memory = allocate_output(bytes);
    const auto job = [&](const FileJobOptions& options, const Context& context) {
      return run_memory_job(*source_, plan_, options, context, {memory.get(), bytes});
    };
    nb::list faults = run_job(job, saturate, threads, /*sync=*/false, /*measure_error=*/false,
                              skip_faults, progress);
    if (nb::len(faults) == 0) memory_ = memory;
    return faults;
  }

  std::size_t size() const { return plan_.tensors.size(); }

  // name, index of the format or None, action, reason or None, shape, dtype before and after, bytes
  // in and out, error or None
  nb::tuple tensor(std::size_t index) const {
    check_planned();
    if (index >= size()) throw nb::index_error();
    const TensorPlan& planned = plan_.tensors[index];
    const bool quantized = planned.is_quantized();
    nb::object error = nb::none();
    if (quantized && !errors_.empty()) error = error_figures(errors_[planned.layer]);
    const bool has_reason = planned.reason != StayReason::kNone;
    return nb::make_tuple(
        text_object(planned.name()), quantized ? nb::object(nb::int_(planned.format)) : nb::none(),
        word_of(action_of(planned)), has_reason ? nb::cast(reason_text(planned)) : nb::none(),
        shape_object(planned.shape()), name_of(planned.dtype_before()), name_of(planned.dtype),
        planned.bytes_in(), planned.bytes_out, error);
  }

  // What run_in_memory() made, with what it left of the source: once, so that a job that is kept
  // for its facts keeps no data.
  void take_entries(bool as_torch, nb::dict entries) {
    if (memory_ == nullptr || nb::len(opened_.memory().values()) != source_size()) {
      raise_invalid_input("run_in_memory() comes first, and release() after");
    }
    add_entries(plan_, opened_.memory(), std::exchange(memory_, nullptr), as_torch, entries);
  }

  // Name and dtype of what the new file holds, in the order of the source's tensors, and whether it
  // is made.
  nb::list entries() const {
    check_planned();
    nb::list entries;
    const OutputPlan& output = plan_.outputs.at(0);
    for (std::size_t index = 0; index < output.entries.size(); ++index) {
      const TensorEntry& entry = output.entries[index];
      const bool made = !plan_.tensors[output.tensors[index]].is_copied();
      entries.append(nb::make_tuple(text_object(entry.name), name_of(entry.dtype), made));
    }
    return entries;
  }

  nb::dict metadata() const {
    check_planned();
    return metadata_object(plan_.metadata);
  }

  nb::list paths(const nb::bytes& destination) const {
    check_planned();
    const std::string path(destination.c_str(), destination.size());
    nb::list paths;
    const auto names =
        with_file_errors([&] { return shard_paths(path, plan_.outputs.size(), plan_.container); });
    for (const std::string& each : names) {
      paths.append(nb::bytes(each.data(), each.size()));
    }
    return paths;
  }

  std::size_t adapter_factors() const {
    check_planned();
    return quarrow::python::adapter_factors(*source_, plan_);
  }

  // runtime, whether it knows the model, tensors held back, tensors quantized in spite of it, and
  // the reason of the first or None
  nb::tuple runtime_rules() const {
    check_planned();
    const RuntimeRules& rules = plan_.rules;
    const bool has_reason = rules.reason != StayReason::kNone;
    return nb::make_tuple(name_of(rules.runtime), rules.known_model, rules.held_back,
                          rules.overruled,
                          has_reason ? nb::cast(text_of(rules.reason)) : nb::none());
  }

  template <Action... actions>
  std::size_t count() const {
    check_planned();
    return (count_of(plan_, actions) + ...);
  }
  nb::list reasons() const {
    check_planned();
    return reason_counts(plan_);
  }
  nb::list readers() const {
    check_planned();
    return text_list(plan_.readers);
  }
  nb::list layers_left() const { return left_counts(stored_); }
  nb::object config_file() const {
    const std::string& path = stored_.config_file();
    return path.empty() ? nb::object(nb::none()) : nb::bytes(path.data(), path.size());
  }
  std::uint64_t unlisted() const { return source_->unlisted; }
  std::uint64_t trailing_bytes() const { return source_->trailing_bytes; }
  nb::list differing_keys() const { return quarrow::python::differing_keys(*source_); }

  std::uint64_t bytes_in() const { return source_->file_bytes(); }
  std::uint64_t bytes_out() const { return plan_.file_bytes(); }

 private:
  template <typename Job>
  nb::list run_job(Job&& job, bool saturate, nb::handle threads, bool sync, bool measure_error,
                   bool skip_faults, nb::handle progress) {
    check_planned();
    PythonProgress reported(progress);
    const std::vector<EncodedLayer> encoded = encoded_layers();
    const FileJobOptions options{
        .policy = saturate ? NonFinitePolicy::kSaturate : NonFinitePolicy::kRaise,
        .sync = sync,
        .measure_error = measure_error,
        .skip_faults = skip_faults,
        .progress = progress.is_none() ? nullptr : &reported,
        .encoded = encoded};
    // Files are waited for, so the lock is released whatever their size.
    constexpr std::uint64_t kAnyBytes = std::numeric_limits<std::uint64_t>::max();
    CoreCall call(threads, kAnyBytes);
    FileJobResult result;
    try {
      result = with_file_errors(
          [&] { return call.run([&](const Context& context) { return job(options, context); }); });
    } catch (const LayerFault& fault) {
      raise_layer_fault(fault, plan_);
    }
    nb::list faults;
    for (const LayerFault& fault : result.faults) {
      try {
        raise_layer_fault(fault, plan_);
      } catch (nb::python_error& error) {
        faults.append(nb::make_tuple(source_index(fault.tensor), error.value()));
      }
    }
    if (!result.finished && result.faults.empty()) throw nb::python_error();
    errors_ = std::move(result.errors);
    count_layers(result.faults.size(), call.context());
    return faults;
  }

  // The plan's layers, where the source holds them quantized.
  std::vector<EncodedLayer> encoded_layers() const {
    std::vector<EncodedLayer> layers;
    for (const TensorPlan& tensor : plan_.tensors) {
      if (encoded_.empty() || !tensor.is_quantized()) continue;
      layers.push_back(encoded_[tensor.source->file]);
    }
    return layers;
  }

  // Layers that failed are left as they are by the run that follows.
  void count_layers(std::size_t faults, const Context& context) const {
    CallRecord* record = CallRecord::current();
    if (record == nullptr) return;
    record->ran(context.threads, context);
    record->failed(faults);
    if (faults != 0) return;
    for (const TensorPlan& tensor : plan_.tensors) {
      const bool counted = tensor.is_quantized() || tensor.is_decoded();
      if (counted) record->add(1, tensor.bytes_in());
    }
  }

  void check_planned() const {
    if (plan_.outputs.empty()) raise_invalid_input("plan() comes first");
  }

  // What the next one refers to.
  nb::object holder_;
  const OpenCheckpoint& opened_;
  std::shared_ptr<const Checkpoint> source_;
  StoredLayers stored_;
  std::vector<EncodedLayer> encoded_;  // of its tensors, where some are quantized
  std::vector<Format> formats_;        // layers of the plan point to them
  FilePlan plan_;
  std::vector<ErrorSums> errors_;
  std::shared_ptr<std::byte> memory_;  // of the last run
};

}  // namespace

void bind_files(nb::module_& m) {
  bind_containers(m);
  nb::class_<FileJob>(m, "FileJob", "A job from checkpoint to checkpoint, in its steps.")
      // A source in memory belongs to its OpenCheckpoint.
      .def(nb::init<nb::handle_t<OpenCheckpoint>>(), "source"_a)
      .def_prop_ro("source_size", &FileJob::source_size, "How many tensors the source has.")
      .def("source_name", &FileJob::source_name, "index"_a,
           "Of a tensor of the source, or of the quantized layer that it is a part of.")
      .def(
          "plan", &FileJob::plan, "formats"_a, "choices"_a, nb::kw_only(), "dtype"_a.none(),
          "max_shard_bytes"_a, "runtime"_a.none(), "in_memory"_a = false,
          "container"_a = "safetensors",
          nb::sig("def plan(self, formats: collections.abc.Sequence[Format], choices: bytes, *, "
                  "dtype: str | None, max_shard_bytes: int, runtime: str | None, in_memory: bool = "
                  "False, container: str = 'safetensors') -> None"),
          "Decide on every tensor: a byte each, the index of a format, 254 for the first one "
          "unless the defaults leave the tensor, or 255 to leave it. Empty: 254 for all. The rules "
          "are those of the runtime; None: for each format its own. In memory: for "
          "run_in_memory().")
      .def("plan_floats", &FileJob::plan_floats, "restore"_a, nb::kw_only(), "dtype"_a.none(),
           "max_shard_bytes"_a, "in_memory"_a = false, "container"_a = "safetensors",
           nb::sig("def plan_floats(self, restore: bool, *, dtype: str | None, max_shard_bytes: "
                   "int, in_memory: bool = False, container: str = 'safetensors') -> None"),
           "Plan that nothing is quantized, and quantized layers become what they were: all, or "
           "those that the container has no place for.")
      .def("run", &FileJob::run, "destination"_a, nb::kw_only(), "saturate"_a, "threads"_a.none(),
           "sync"_a, "measure_error"_a, "skip_faults"_a, "progress"_a.none(),
           nb::sig("def run(self, destination: bytes, *, saturate: bool, threads: int | None, "
                   "sync: bool, measure_error: bool, skip_faults: bool, progress: "
                   "collections.abc.Callable[[int, int, str], object] | None) -> "
                   "list[tuple[int, Exception]]"),
           "Write the new files. With skip_faults: the tensors that failed, and then no files.")
      .def("run_in_memory", &FileJob::run_in_memory, nb::kw_only(), "saturate"_a,
           "threads"_a.none(), "skip_faults"_a, "progress"_a.none(),
           nb::sig("def run_in_memory(self, *, saturate: bool, threads: int | None, skip_faults: "
                   "bool, progress: collections.abc.Callable[[int, int, str], object] | None) -> "
                   "list[tuple[int, Exception]]"),
           "The same for take_entries().")
      .def(
          "take_entries", &FileJob::take_entries, "as_torch"_a, "entries"_a,
          nb::sig("def take_entries(self, as_torch: bool, entries: dict[str, typing.Any]) -> None"),
          "Add what run_in_memory() made, and what it left of its source, to a dict.")
      .def("source_index", &FileJob::source_index, "index"_a,
           "Which tensor of the source a tensor of the plan is; all of a quantized layer is its "
           "codes.")
      .def("__len__", &FileJob::size)
      .def("tensor", &FileJob::tensor, "index"_a,
           nb::sig("def tensor(self, index: int) -> tuple[str, int | None, str, str | None, "
                   "tuple[int, ...], str, str, int, int, dict[str, float] | None]"),
           "Name, format index, action, reason, shape, dtype before and after, bytes in, bytes "
           "out, error.")
      .def("entries", &FileJob::entries,
           nb::sig("def entries(self) -> list[tuple[str, str, bool]]"),
           "Name and dtype of what the new file holds, and whether it is made.")
      .def_prop_ro("metadata", &FileJob::metadata,
                   nb::sig("def metadata(self) -> dict[str, typing.Any]"), "Of the new file.")
      .def("paths", &FileJob::paths, "destination"_a,
           nb::sig("def paths(self, destination: bytes) -> list[bytes]"),
           "The files that run() writes.")
      .def_prop_ro("adapter_factors", &FileJob::adapter_factors,
                   "How many of the quantized tensors are factors of a LoRA.")
      .def_prop_ro(
          "runtime_rules", &FileJob::runtime_rules,
          nb::sig("def runtime_rules(self) -> tuple[str, bool, int, int, str | None]"),
          "The runtime, whether it knows the model, how many tensors stay because it would "
          "misread them, how many are quantized all the same, and the reason.")
      .def_prop_ro("quantized", &FileJob::count<Action::kQuantized, Action::kRequantized>,
                   "How many tensors are, those that were before among them.")
      .def_prop_ro("requantized", &FileJob::count<Action::kRequantized>, "How many tensors are.")
      .def_prop_ro("restored", &FileJob::count<Action::kRestored>, "How many tensors are.")
      .def_prop_ro("converted", &FileJob::count<Action::kConverted>, "How many tensors are.")
      .def_prop_ro("reasons", &FileJob::reasons,
                   nb::sig("def reasons(self) -> list[tuple[str, str, int]]"),
                   "Why tensors stay, the most first: name of the reason, text, number.")
      .def_prop_ro("readers", &FileJob::readers, nb::sig("def readers(self) -> list[str]"),
                   "Who loads the quantized layers of the new file.")
      .def_prop_ro("layers_left", &FileJob::layers_left,
                   nb::sig("def layers_left(self) -> list[tuple[str, int]]"),
                   "Quantized layers that cannot be decoded: how they are stored, number.")
      .def_prop_ro("config_file", &FileJob::config_file,
                   nb::sig("def config_file(self) -> bytes | None"),
                   "The config.json that describes quantized layers of the source.")
      .def_prop_ro("unlisted", &FileJob::unlisted,
                   "Tensors of the source's files that its index does not name.")
      .def_prop_ro("trailing_bytes", &FileJob::trailing_bytes,
                   "Bytes behind the last tensor of the source that belong to none.")
      .def_prop_ro("differing_keys", &FileJob::differing_keys,
                   nb::sig("def differing_keys(self) -> list[str]"),
                   "Keys of the metadata with other values in other files of the source.")
      .def_prop_ro("bytes_in", &FileJob::bytes_in, "Of the source's files.")
      .def_prop_ro("bytes_out", &FileJob::bytes_out, "Of the new files.");
}

}  // namespace quarrow::python

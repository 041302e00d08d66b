// SPDX-License-Identifier: Apache-2.0
#include "quarrow/pipeline/file_job.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <utility>

#include "core/complete_context.h"
#include "pipeline/copy_tiles.h"
#include "pipeline/encode_sink.h"
#include "pipeline/encoded_tiles.h"
#include "pipeline/first_failure.h"
#include "pipeline/float_sink.h"
#include "pipeline/float_source.h"
#include "pipeline/output_files.h"
#include "pipeline/progress_poll.h"
#include "pipeline/stored_source.h"
#include "quantize/check_job.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

// One call of run_file_job().
class FileJob {
 public:
  FileJob(const Checkpoint& source, const FilePlan& plan, Outputs outputs, bool copies,
          const FileJobOptions& options, const Context& context)
      : source_(source),
        plan_(plan),
        options_(options),
        context_(context),
        poll_(plan.tensors, options.progress, context.poll),
        copy_(source, plan, outputs, context),
        plain_(source, context),
        stored_(source, context),
        to_floats_(sources_, plan, outputs, context),
        to_codes_(sources_, plan, outputs, options, context),
        encoded_(plan, outputs, options.encoded, context),
        failed_(plan.tensors.size()) {
    first_tile_.reserve(plan.tensors.size() + 1);
    first_tile_.push_back(0);
    for (std::size_t index = 0; index < plan.tensors.size(); ++index) {
      const TensorPlan& tensor = plan.tensors[index];
      const bool left_out = tensor.is_copied() && !copies;
      const std::size_t tiles = left_out ? 0 : work(tensor).tile_count(tensor);
      if (tiles == 0) poll_.finished(index, tensor.bytes_in());
      first_tile_.push_back(first_tile_.back() + tiles);
    }
    const std::uint64_t bytes = source.file_bytes();
    threads_ = bytes <= kSerialBytes ? 1 : context.threads;
  }

  // False when the caller stopped it.
  bool run() {
    if (plan_.layers.range_pass && !run_first_pass()) return false;
    if (!run_tiles()) return false;
    source_.check_unchanged();
    return poll_.keep_going();
  }

  Poll* poll() noexcept { return &poll_; }
  std::vector<ErrorSums> errors() const { return to_codes_.errors(); }
  std::vector<LayerFault> take_faults() { return std::move(faults_); }

 private:
  TileWork& work(const TensorPlan& tensor) {
    if (tensor.is_copied()) return copy_;
    if (!tensor.is_quantized()) return to_floats_;
    if (!options_.encoded.empty()) return encoded_;
    return to_codes_;
  }
  TileWork& work(std::size_t tensor) { return work(plan_.tensors[tensor]); }

  // Runs body(tile of the tensor, tensor, worker) for every tile of every tensor in one flat list.
  // False when the caller stopped it; throws what the first failing tile threw.
  template <typename Body>
  bool for_each_tile(Body body) {
    FirstFailure failure;
    const auto run_one = [&](std::size_t index, std::size_t worker) {
      if (failure.is_beyond(index)) return;
      try {
        const auto after = std::upper_bound(first_tile_.begin(), first_tile_.end(), index);
        const auto tensor = static_cast<std::size_t>(after - first_tile_.begin()) - 1;
        if (failed_[tensor].load(std::memory_order_relaxed)) return;
        body(index - first_tile_[tensor], tensor, worker);
      } catch (...) {
        failure.record(index, std::current_exception());
        poll_.stop();
      }
    };
    const bool completed = context_.executor->run(first_tile_.back(), threads_, run_one, &poll_);
    if (poll_.cancelled()) return false;
    if (failure.occurred()) failure.rethrow();
    return completed;
  }

  bool run_first_pass() {
    const bool completed =
        for_each_tile([&](std::size_t tile, std::size_t tensor, std::size_t worker) {
          if (!has_first_pass(tensor)) return;
          work(tensor).first_pass(tile, tensor, worker);
        });
    if (!completed) return false;
    for (std::size_t tensor = 0; tensor < plan_.tensors.size(); ++tensor) {
      if (!has_first_pass(tensor)) continue;
      try {
        work(tensor).finish_first_pass(tensor);
      } catch (const LayerFault& fault) {
        if (!options_.skip_faults) throw;
        failed_[tensor].store(true, std::memory_order_relaxed);
        faults_.push_back(fault);
      }
    }
    return true;
  }

  bool has_first_pass(std::size_t tensor) {
    return work(tensor).has_first_pass(plan_.tensors[tensor]);
  }

  bool run_tiles() {
    try {
      const bool completed =
          for_each_tile([&](std::size_t tile, std::size_t tensor, std::size_t worker) {
            try {
              poll_.finished(tensor, work(tensor).run(tile, tensor, worker));
            } catch (const LayerFault&) {
              if (!options_.skip_faults) throw;
              failed_[tensor].store(true, std::memory_order_relaxed);
            }
          });
      return completed && inspect_failed();
    } catch (const LayerFault& fault) {
      // The job stopped at a layer's first bad tile; its message has figures for the whole layer.
      poll_.resume();
      inspect(fault.tensor);
      if (poll_.cancelled()) return false;
      throw_sound();
    }
  }

  // The faults of those that failed in the second pass. False when the caller stopped it.
  bool inspect_failed() {
    std::vector<LayerFault> known = std::exchange(faults_, {});
    auto next = known.begin();
    for (std::size_t tensor = 0; tensor < plan_.tensors.size(); ++tensor) {
      if (!failed_[tensor].load(std::memory_order_relaxed)) continue;
      if (next != known.end() && next->tensor == tensor) {
        faults_.push_back(*next++);
        continue;
      }
      try {
        inspect(tensor);
        if (poll_.cancelled()) return false;
        throw_sound();
      } catch (const LayerFault& fault) {
        faults_.push_back(fault);
      }
    }
    return true;
  }

  // Throws the fault of a whole tensor, unless the caller stops it.
  void inspect(std::size_t tensor) {
    FirstFailure failure;
    TileWork& of_tensor = work(tensor);
    of_tensor.begin_inspection(tensor);
    const auto run_one = [&](std::size_t tile, std::size_t worker) {
      try {
        of_tensor.inspect(tile, tensor, worker);
      } catch (...) {
        failure.record(tile, std::current_exception());
      }
    };
    const std::size_t tiles = first_tile_[tensor + 1] - first_tile_[tensor];
    if (!context_.executor->run(tiles, threads_, run_one, &poll_)) return;
    if (failure.occurred()) failure.rethrow();
    of_tensor.end_inspection(tensor);
  }

  // Read again, a layer that failed is sound.
  [[noreturn]] void throw_sound() const { throw CheckpointFault(FileRule::kChanged, source_.path); }

  const Checkpoint& source_;
  const FilePlan& plan_;
  const FileJobOptions& options_;
  const Context& context_;
  ProgressPoll poll_;
  CopyTiles copy_;
  FloatSource plain_;
  StoredSource stored_;
  Sources sources_{plain_, stored_};
  FloatSink to_floats_;
  EncodeSink to_codes_;
  EncodedTiles encoded_;
  std::vector<std::size_t> first_tile_;    // of each tensor, in the flat list; one more at the end
  std::vector<std::atomic<bool>> failed_;  // tensors with a fault that is skipped
  std::vector<LayerFault> faults_;
  std::size_t threads_ = 1;
};

void require(StatusCode code, std::size_t layer = 0) {
  if (code != StatusCode::kOk) throw StatusError({.code = code, .layer = layer});
}

// The context, completed, of a job that can run as it was called.
Context checked(const FilePlan& plan, const FileJobOptions& options, Context context) {
  require(complete(context));
  require(is_policy(options.policy) ? StatusCode::kOk : StatusCode::kBadPolicy);
  if (options.encoded.empty()) return context;
  const std::vector<LayerPlan>& layers = plan.layers.layers;
  if (options.encoded.size() != layers.size()) {
    throw StatusError({.code = StatusCode::kWrongLayerCount, .count = layers.size()});
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    require(fault_of(layers[i], options.encoded[i].parts), i);
  }
  return context;
}

}  // namespace

FileJobResult run_file_job(const Checkpoint& source, FilePlan& plan, const std::string& destination,
                           const FileJobOptions& options, const Context& context) try {
  if (!plan.outputs.at(0).memory_positions.empty())
    throw std::invalid_argument("a plan for memory");
  const Context where = checked(plan, options, context);
  OutputFiles outputs(source, plan, destination, context.poll);
  if (plan.layers.tiles.empty()) cut_tiles(plan.layers);
  const std::vector<const File*> files = outputs.files();
  FileJob job(source, plan, files, /*copies=*/true, options, where);
  FileJobResult result;
  if (!job.run()) return result;
  result.faults = job.take_faults();
  if (!result.faults.empty()) return result;
  if (options.sync && !outputs.flush(job.poll())) return result;
  result.errors = job.errors();
  outputs.publish(options.sync);
  result.finished = true;
  return result;
} catch (const AtomicFile::Stopped&) {
  return {};
}

FileJobResult run_memory_job(const Checkpoint& source, FilePlan& plan,
                             const FileJobOptions& options, const Context& context,
                             std::span<std::byte> memory) {
  const OutputPlan& output = plan.outputs.at(0);
  const bool placed = output.memory_positions.size() == output.entries.size();
  if (!placed || memory.size() != output.memory_bytes) {
    throw std::invalid_argument("not the plan's memory");
  }
  const Context where = checked(plan, options, context);
  const File file = File::in_memory(memory);
  if (plan.layers.tiles.empty()) cut_tiles(plan.layers);
  const File* files[] = {&file};
  FileJob job(source, plan, files, /*copies=*/false, options, where);
  FileJobResult result;
  if (!job.run()) return result;
  // Last, so that the workers have met the faults of fresh pages, side by side.
  for (const ConstantBytes& constant : output.constants) {
    file.write_at(constant.bytes.data(), constant.bytes.size(), constant.position);
  }
  result.faults = job.take_faults();
  if (!result.faults.empty()) return result;
  result.errors = job.errors();
  result.finished = true;
  return result;
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "quarrow/pipeline/quantize_file.h"

#include <algorithm>
#include <utility>

#include "pipeline/copy_bytes.h"
#include "pipeline/first_failure.h"
#include "pipeline/layer_tiles.h"
#include "pipeline/progress_poll.h"
#include "quantize/run_tile.h"
#include "quarrow/containers/atomic_file.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

// Of a tensor that is copied. Larger than a tile that is computed: it costs no memory, and less
// time.
constexpr std::uint64_t kCopyBytes = std::uint64_t{1} << 20;
// Below this, waking another thread costs more than it saves.
constexpr std::uint64_t kSerialBytes = 2 * kTileBytes;

// One call of quantize_file().
class FileJob {
 public:
  FileJob(const SafetensorsFile& source, const FilePlan& plan, const File& output,
          const FileJobOptions& options, const Context& context)
      : source_(source),
        plan_(plan),
        output_(output),
        options_(options),
        context_(context),
        poll_(source.tensors, options.progress, context.poll),
        copier_(source.file, output),
        tiles_(source, plan, output, options, context) {
    first_tile_.reserve(plan.tensors.size() + 1);
    first_tile_.push_back(0);
    for (std::size_t tensor = 0; tensor < plan.tensors.size(); ++tensor) {
      first_tile_.push_back(first_tile_.back() + tile_count(tensor));
    }
    const std::uint64_t bytes = source.identity.bytes;
    threads_ = bytes <= kSerialBytes ? 1 : std::max<std::size_t>(context.threads, 1);
  }

  bool run() {
    SafetensorsHeader{&plan_.metadata, plan_.entries, plan_.order}.write(output_);
    for (const ConstantBytes& constant : plan_.constants) {
      output_.write_at(constant.bytes.data(), constant.bytes.size(), constant.position);
    }
    if (plan_.quantize.range_pass && !find_ranges()) return false;
    if (!write_tensors()) return false;
    if (source_.file.identity() != source_.identity) {
      throw CheckpointFault(FileRule::kChanged, source_.file.path());
    }
    return poll_.keep_going();
  }

  Poll* poll() noexcept { return &poll_; }
  std::vector<ErrorSums> errors() const { return tiles_.errors(); }

 private:
  bool is_quantized(std::size_t tensor) const {
    return plan_.tensors[tensor].reason == StayReason::kNone;
  }

  const LayerPlan& layer_of(std::size_t tensor) const {
    return plan_.quantize.layers[plan_.tensors[tensor].layer];
  }

  std::size_t tile_count(std::size_t tensor) const {
    if (is_quantized(tensor)) return layer_of(tensor).tile_count;
    return (source_.tensors[tensor].bytes() + kCopyBytes - 1) / kCopyBytes;
  }

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

  bool find_ranges() {
    std::vector<TileReport> reports(plan_.quantize.tiles.size());
    const bool completed =
        for_each_tile([&](std::size_t tile, std::size_t tensor, std::size_t worker) {
          if (!is_quantized(tensor) || !layer_of(tensor).range_pass) return;
          const std::size_t index = layer_of(tensor).first_tile + tile;
          tiles_.find_range(index, tensor, worker, reports[index]);
        });
    if (!completed) return false;
    for (std::size_t tensor = 0; tensor < plan_.tensors.size(); ++tensor) {
      if (!is_quantized(tensor) || !layer_of(tensor).range_pass) continue;
      const LayerPlan& layer = layer_of(tensor);
      const auto of_layer = std::span(reports).subspan(layer.first_tile, layer.tile_count);
      tiles_.join_ranges(layer, of_layer);
      throw_fault(tensor, of_layer);
    }
    return true;
  }

  bool write_tensors() {
    try {
      return for_each_tile([&](std::size_t tile, std::size_t tensor, std::size_t worker) {
        poll_.finished(tensor, is_quantized(tensor) ? quantize_tile(tile, tensor, worker)
                                                    : copy_tile(tile, tensor, worker));
      });
    } catch (const LayerFault& fault) {
      return report_whole_layer(fault);
    }
  }

  // Both return the bytes of the source that are done.
  std::uint64_t quantize_tile(std::size_t tile, std::size_t tensor, std::size_t worker) {
    const LayerPlan& layer = layer_of(tensor);
    TileReport report;
    tiles_.quantize(layer.first_tile + tile, tensor, worker, /*write=*/true, report);
    // The range pass has reported already.
    if (!layer.range_pass) throw_fault(tensor, {&report, 1});
    const Tile& done = plan_.quantize.tiles[layer.first_tile + tile];
    return done.rows * done.cols * size_of(layer.dtype);
  }

  std::uint64_t copy_tile(std::size_t tile, std::size_t tensor, std::size_t worker) {
    const TensorEntry& entry = source_.tensors[tensor];
    const std::uint64_t offset = tile * kCopyBytes;
    const std::uint64_t bytes = std::min(kCopyBytes, entry.bytes() - offset);
    const std::uint64_t from = source_.data_start + entry.begin + offset;
    const std::uint64_t copied = copier_.copy(from, plan_.tensors[tensor].data_position + offset,
                                              bytes, tiles_.buffers(worker).input_span);
    if (copied < bytes) {
      CheckpointFault fault(FileRule::kShrank, source_.file.path());
      fault.tensor = std::string(entry.name);
      fault.position = from + copied;
      throw fault;
    }
    return bytes;
  }

  void throw_fault(std::size_t tensor, std::span<const TileReport> reports) const {
    TileReport total;
    for (const TileReport& report : reports) add_report(total, report);
    const Status status = to_status(tensor, total, options_.policy);
    if (!status.ok()) throw LayerFault(status, tensor);
  }

  // The job stopped at a layer's first bad tile; its message has figures for the whole layer.
  bool report_whole_layer(const LayerFault& fault) {
    const LayerPlan& layer = layer_of(fault.tensor);
    std::vector<TileReport> reports(layer.tile_count);
    FirstFailure failure;
    const auto run_one = [&](std::size_t tile, std::size_t worker) {
      try {
        tiles_.quantize(layer.first_tile + tile, fault.tensor, worker, /*write=*/false,
                        reports[tile]);
      } catch (...) {
        failure.record(tile, std::current_exception());
      }
    };
    poll_.resume();
    if (!context_.executor->run(layer.tile_count, threads_, run_one, &poll_)) return false;
    if (failure.occurred()) failure.rethrow();
    throw_fault(fault.tensor, reports);
    // Read again, the layer is sound.
    throw CheckpointFault(FileRule::kChanged, source_.file.path());
  }

  const SafetensorsFile& source_;
  const FilePlan& plan_;
  const File& output_;
  const FileJobOptions& options_;
  const Context& context_;
  ProgressPoll poll_;
  ByteCopier copier_;
  LayerTiles tiles_;
  std::vector<std::size_t> first_tile_;  // of each tensor, in the flat list; one more at the end
  std::size_t threads_ = 1;
};

}  // namespace

bool quantize_file(const SafetensorsFile& source, FilePlan& plan, const std::string& destination,
                   const FileJobOptions& options, const Context& context,
                   std::vector<ErrorSums>& errors) {
  if (plan.header_bytes - 8 > kMaxHeaderBytes) {
    throw PathFault(PathRule::kHeaderTooLarge, destination);
  }
  AtomicFile output(destination, source.identity);
  output.resize(plan.file_bytes);
  if (plan.quantize.tiles.empty()) cut_tiles(plan.quantize);
  FileJob job(source, plan, output.file(), options, context);
  if (!job.run()) return false;
  if (options.sync && !output.flush(plan.file_bytes, job.poll())) return false;
  errors = job.errors();
  output.commit(options.sync);
  return true;
}

}  // namespace quarrow

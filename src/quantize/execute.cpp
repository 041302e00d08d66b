// SPDX-License-Identifier: Apache-2.0
#include "quarrow/quantize/execute.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "core/complete_context.h"
#include "core/floating_point_mode.h"
#include "quantize/check_job.h"
#include "quantize/run_tile.h"

namespace quarrow {
namespace {

// Up to this, what kernels fetch ahead lies beyond the input: a tenth of a small call, for nothing.
constexpr std::uint64_t kFetchBytes = std::uint64_t{64} << 10;

// Runs one pass over all tiles of the plan. Body is body(tile index, tile, layer, worker).
template <typename Body>
bool for_each_tile(const Plan& plan, const Context& context, Body body) {
  const auto run_one = [&](std::size_t index, std::size_t worker) {
    const Tile& tile = plan.tiles[index];
    body(index, tile, plan.layers[tile.layer], worker);
  };
  return context.executor->run(plan.tiles.size(), threads_for(plan, context.threads), run_one,
                               context.poll);
}

const std::byte* tile_data(const TensorView& view, const Tile& tile) {
  return static_cast<const std::byte*>(view.data) +
         static_cast<std::ptrdiff_t>(tile.row) * view.row_stride_bytes +
         tile.col * size_of(view.dtype);
}

// One call of quantize(): the ranges that cross tiles, then the codes.
class QuantizeJob {
 public:
  QuantizeJob(const Plan& plan, std::span<const TensorView> inputs,
              std::span<const QuantizedSpan> outputs, NonFinitePolicy policy,
              const Context& context, LayerProgress* progress)
      : plan_(plan),
        inputs_(inputs),
        outputs_(outputs),
        policy_(policy),
        context_(context),
        progress_(progress),
        reports_(plan.tiles.size()),
        finished_tiles_(progress == nullptr ? 0 : plan.layers.size()) {}

  bool run(std::span<Status> statuses) {
    finish_layers_without_tiles();
    if (plan_.range_pass && !find_ranges(statuses)) return false;
    if (!write_codes(statuses)) return false;
    collect_reports(statuses, /*range_pass=*/false);
    return true;
  }

 private:
  void finish_layers_without_tiles() const {
    if (progress_ == nullptr) return;
    for (std::size_t i = 0; i < plan_.layers.size(); ++i) {
      if (plan_.layers[i].tile_count == 0) progress_->finished(i);
    }
  }

  void finish_tile(std::size_t layer) {
    if (progress_ == nullptr) return;
    const std::size_t finished = finished_tiles_[layer].fetch_add(1, std::memory_order_relaxed) + 1;
    if (finished == plan_.layers[layer].tile_count) progress_->finished(layer);
  }

  InputTile input(const Tile& tile, const LayerPlan& layer) const {
    const TensorView& view = inputs_[tile.layer];
    return input_tile(layer, tile, tile_data(view, tile), view.row_stride_bytes);
  }

  bool find_ranges(std::span<Status> statuses) {
    std::vector<Range> found(plan_.tiles.size());
    const bool completed = for_each_tile(
        plan_, context_,
        [&](std::size_t index, const Tile& tile, const LayerPlan& layer, std::size_t) {
          if (!layer.range_pass) return;
          find_range(input(tile, layer), context_.target, found[index], reports_[index]);
        });
    if (!completed) return false;
    join_ranges(found);
    collect_reports(statuses, /*range_pass=*/true);
    return true;
  }

  // The range of a span is that of all its tiles together.
  void join_ranges(const std::vector<Range>& found) {
    const DefaultFloatingPointMode mode;
    first_range_.resize(plan_.layers.size());
    for (std::size_t i = 0; i < plan_.layers.size(); ++i) {
      const LayerPlan& layer = plan_.layers[i];
      if (!layer.range_pass) continue;
      first_range_[i] = ranges_.size();
      ranges_.resize(ranges_.size() + range_count(layer));
      for (std::size_t t = layer.first_tile; t < layer.first_tile + layer.tile_count; ++t) {
        widen(range_of(layer, plan_.tiles[t]), found[t]);
      }
      report_overflow(layer);
    }
  }

  void report_overflow(const LayerPlan& layer) {
    for (std::size_t t = layer.first_tile; t < layer.first_tile + layer.tile_count; ++t) {
      const Tile& tile = plan_.tiles[t];
      if (!starts_span(layer, tile)) continue;
      if (range_overflows(layer, range_of(layer, tile))) {
        reports_[t].range_overflow = true;
        reports_[t].first_overflow = tile.row * layer.cols + tile.col;
        return;
      }
    }
  }

  Range& range_of(const LayerPlan& layer, const Tile& tile) {
    return ranges_[first_range_[tile.layer] + range_index(layer, tile)];
  }

  bool write_codes(std::span<const Status> statuses) {
    return for_each_tile(
        plan_, context_,
        [&](std::size_t index, const Tile& tile, const LayerPlan& layer, std::size_t) {
          if (statuses[tile.layer].ok()) write_codes_of(index, tile, layer);
          finish_tile(tile.layer);
        });
  }

  void write_codes_of(std::size_t index, const Tile& tile, const LayerPlan& layer) {
    const TileOutput output{.parts = tile_parts(layer, tile, outputs_[tile.layer]),
                            .stream_codes = streams_codes(plan_),
                            .fetch_ahead = plan_.input_bytes > kFetchBytes};
    const Range* range = layer.range_pass ? &range_of(layer, tile) : nullptr;
    TileReport known;  // the range pass has reported already
    TileReport& report = layer.range_pass ? known : reports_[index];
    quantize_tile(layer, input(tile, layer), output, range, policy_, context_.target, report);
  }

  void collect_reports(std::span<Status> statuses, bool range_pass) const {
    for (std::size_t i = 0; i < plan_.layers.size(); ++i) {
      const LayerPlan& layer = plan_.layers[i];
      if (layer.range_pass != range_pass) continue;
      const std::size_t end = layer.first_tile + layer.tile_count;
      TileReport total = layer.tile_count == 0 ? TileReport{} : reports_[layer.first_tile];
      for (std::size_t t = layer.first_tile + 1; t < end; ++t) add_report(total, reports_[t]);
      statuses[i] = to_status(i, total, policy_);
    }
  }

  const Plan& plan_;
  std::span<const TensorView> inputs_;
  std::span<const QuantizedSpan> outputs_;
  NonFinitePolicy policy_;
  const Context& context_;
  LayerProgress* progress_;
  std::vector<TileReport> reports_;
  std::vector<std::atomic<std::size_t>> finished_tiles_;  // of each layer; empty without progress
  std::vector<Range> ranges_;
  std::vector<std::size_t> first_range_;  // of each layer, in ranges_
};

// What keeps a job from running: its lists, of which there must be as many items as layers, one of
// `results` items for what it reports, or its context, which is completed.
template <typename... Items>
JobFault prepare(const Plan& plan, Context& context, std::size_t results,
                 std::span<const Items>... lists) {
  const std::size_t layers = plan.layers.size();
  if (results != layers || ((lists.size() != layers) || ...)) {
    return {StatusCode::kWrongLayerCount, 0};
  }
  if (const StatusCode code = complete(context); code != StatusCode::kOk) return {code, 0};
  return first_fault(plan, lists...);
}

Status to_status(const Plan& plan, const JobFault& fault) noexcept {
  const bool counts = fault.code == StatusCode::kWrongLayerCount;
  return {.code = fault.code, .layer = fault.layer, .count = counts ? plan.layers.size() : 0};
}

}  // namespace

QuantizedView view_of(const QuantizedSpan& parts) noexcept {
  QuantizedView view;
  std::ranges::copy(parts.items, view.items.begin());
  return view;
}

std::size_t threads_for(const Plan& plan, std::size_t offered) noexcept {
  if (plan.input_bytes <= kSerialBytes) return 1;
  return std::max<std::size_t>(1, std::min(offered, plan.tiles.size()));
}

Status quantize(const Plan& plan, std::span<const TensorView> inputs,
                std::span<const QuantizedSpan> outputs, NonFinitePolicy policy,
                const Context& context, std::span<Status> statuses, LayerProgress* progress) {
  Context where = context;
  const JobFault fault = is_policy(policy) ? prepare(plan, where, statuses.size(), inputs, outputs)
                                           : JobFault{StatusCode::kBadPolicy, 0};
  for (std::size_t i = 0; i < statuses.size(); ++i) statuses[i] = {.code = fault.code, .layer = i};
  if (fault.code != StatusCode::kOk) return to_status(plan, fault);
  if (!QuantizeJob(plan, inputs, outputs, policy, where, progress).run(statuses)) {
    for (Status& status : statuses) status.code = StatusCode::kCancelled;
  }
  const auto failed =
      std::ranges::find_if_not(statuses, [](const Status& each) { return each.ok(); });
  return failed == statuses.end() ? Status{} : *failed;
}

Status dequantize(const Plan& plan, std::span<const QuantizedView> inputs,
                  std::span<const DequantizedSpan> outputs, const Context& context) {
  Context where = context;
  const JobFault fault = prepare(plan, where, outputs.size(), inputs, outputs);
  if (fault.code != StatusCode::kOk) return to_status(plan, fault);
  const bool completed = for_each_tile(
      plan, where, [&](std::size_t, const Tile& tile, const LayerPlan& layer, std::size_t) {
        const DequantizedSpan& output = outputs[tile.layer];
        const std::size_t row_bytes = layer.cols * size_of(output.dtype);
        dequantize_tile(layer, tile, tile_parts(layer, tile, inputs[tile.layer]), where.target,
                        {.data = static_cast<std::byte*>(output.data) + tile.row * row_bytes +
                                 tile.col * size_of(output.dtype),
                         .dtype = output.dtype},
                        row_bytes);
      });
  return completed ? Status{} : Status{.code = StatusCode::kCancelled};
}

Status measure_error(const Plan& plan, std::span<const TensorView> originals,
                     std::span<const QuantizedView> stored, std::span<ErrorSums> errors,
                     const Context& context) {
  Context where = context;
  const JobFault fault = prepare(plan, where, errors.size(), originals, stored);
  if (fault.code != StatusCode::kOk) return to_status(plan, fault);
  std::uint64_t largest = 0;
  for (const Tile& tile : plan.tiles) largest = std::max(largest, tile.rows * tile.cols);
  std::vector<std::vector<float>> restored(threads_for(plan, where.threads));
  std::vector<ErrorSums> sums(plan.tiles.size());
  for (auto& scratch : restored) scratch.resize(largest);
  const bool completed = for_each_tile(
      plan, where,
      [&](std::size_t index, const Tile& tile, const LayerPlan& layer, std::size_t worker) {
        const TensorView& view = originals[tile.layer];
        measure_tile(layer, input_tile(layer, tile, tile_data(view, tile), view.row_stride_bytes),
                     tile_parts(layer, tile, stored[tile.layer]), where.target,
                     restored[worker].data(), sums[index]);
      });
  if (!completed) return {.code = StatusCode::kCancelled};
  const DefaultFloatingPointMode mode;
  for (std::size_t t = 0; t < plan.tiles.size(); ++t) errors[plan.tiles[t].layer].add(sums[t]);
  return {};
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "quarrow/pipeline/file_plan.h"

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "pipeline/placement.h"
#include "quarrow/containers/container.h"
#include "quarrow/core/status.h"
#include "quarrow/layouts/comfy_model.h"
#include "quarrow/layouts/file_metadata.h"

namespace quarrow {
namespace {

// What a tensor becomes that is neither quantized nor restored. What is part of a quantized layer
// that stays (`stored_as`) is copied.
void plan_kept(TensorPlan& planned, const TensorEntry& tensor, const FilePlanOptions& options,
               const Checkpoint& file, std::string_view stored_as) {
  planned.source = &tensor;
  planned.dtype = tensor.dtype;
  planned.action = Action::kCopy;
  planned.stored_as = stored_as;
  if (!stored_as.empty() || !float_dtype(tensor.dtype)) return;
  ElementType wanted = tensor.dtype;
  if (options.dtype) {
    wanted = element_type(*options.dtype);
  } else if (file.container != options.container) {
    wanted = spec_of(options.container).kept_as(tensor);
  }
  if (wanted == tensor.dtype) return;
  file.check_dimensions(tensor, tensor.name, tensor.shape);
  planned.dtype = wanted;
  planned.action = Action::kConvert;
}

void check_dtype(const FilePlanOptions& options) {
  if (options.dtype && !is_written(*options.dtype)) {
    throw StatusError({.code = StatusCode::kBadDType});
  }
}

EncodedEntry kept_entry(const TensorPlan& planned) {
  EncodedEntry entry;
  entry.name = planned.name();
  entry.shape = planned.stored != nullptr ? planned.stored->shape : planned.source->shape;
  entry.dtype = planned.dtype;
  entry.role = Role::kCodes;
  return entry;
}

class QuantizePlanner {
 public:
  QuantizePlanner(const Checkpoint& source, std::span<const Format> formats,
                  const FilePlanOptions& options)
      : source_(source),
        formats_(formats.begin(), formats.end()),
        options_(options),
        dialects_(source.tensors) {
    check_descriptions(source);
    check_dtype(options);
    for (Format& format : formats_) {
      check_format(format);
      const Layout* layout = find_layout(format, options.container);
      if (layout == nullptr) throw std::invalid_argument("no layout in the container");
      layouts_.push_back(layout);
      // Whatever the format does in memory: no file has a byte for each narrow code.
      if (format.spec->bits < 8) format.packed = true;
    }
    plan_.memory = std::make_unique<std::pmr::monotonic_buffer_resource>();
    const bool comfy = std::ranges::any_of(
        layouts_, [&](const Layout* layout) { return runtime_of(layout) == Runtime::kComfyUi; });
    if (!comfy) return;
    comfy_.emplace(source.tensors);
    plan_.rules.runtime = Runtime::kComfyUi;
    plan_.rules.known_model = comfy_->known();
  }

  FilePlan run(std::span<const std::uint8_t> choices) {
    const std::size_t count = source_.tensors.size();
    if (!choices.empty() && choices.size() != count) {
      throw std::invalid_argument("not a choice for each tensor");
    }
    plan_.tensors.resize(count);
    plan_.layers.layers.reserve(count);
    Placement placement(plan_, count, options_);
    for (std::size_t index = 0; index < count; ++index) {
      add_tensor(index, choices.empty() ? kDefaultChoice : choices[index], placement);
    }
    describe_layers();
    find_readers();
    plan_.placed.resize(plan_.layers.layers.size());
    placement.finish();
    return std::move(plan_);
  }

 private:
  void add_tensor(std::size_t index, std::uint8_t choice, Placement& placement) {
    const TensorEntry& tensor = source_.tensors[index];
    TensorPlan& planned = plan_.tensors[index];
    const bool by_default = choice == kDefaultChoice;
    const std::size_t chosen = by_default ? 0 : choice;
    planned.reason = StayReason::kRule;
    const Dialect* dialect = dialects_.of(tensor);
    if (choice != kLeaveTensor && dialect != nullptr && !dialect->reader.empty()) {
      planned.reason = StayReason::kAlreadyQuantized;
    } else if (choice != kLeaveTensor) {
      const Scheme& scheme = *layouts_.at(chosen)->scheme;
      planned.reason = scheme.stay_reason(tensor, source_.tensors, formats_[chosen]);
      if (planned.reason == StayReason::kNone && is_config_taken(scheme)) {
        planned.reason = StayReason::kConfigTaken;
      }
      if (by_default && planned.reason == StayReason::kNone) {
        planned.reason = default_stay_reason(tensor);
      }
      if (planned.reason == StayReason::kNone) {
        planned.reason = runtime_reason(tensor, layouts_[chosen], by_default);
      }
    }
    const auto number = static_cast<std::uint32_t>(index);
    if (planned.reason != StayReason::kNone) {
      plan_kept(planned, tensor, options_, source_,
                dialect == nullptr ? std::string_view() : dialect->name);
      const EncodedEntry entry = kept_entry(planned);
      placement.add(number, {&entry, 1});
      return;
    }
    planned.action = Action::kQuantize;
    planned.source = &tensor;
    planned.dtype = tensor.dtype;
    planned.format = static_cast<std::uint8_t>(chosen);
    planned.layout = layouts_[chosen];
    planned.layer = static_cast<std::uint32_t>(plan_.layers.layers.size());
    LayerRequest request;
    request.view.dtype = *float_dtype(tensor.dtype);
    request.view.rows = tensor.shape[0];
    request.view.cols = tensor.bytes() / size_of(request.view.dtype) / request.view.rows;
    request.format = formats_[chosen];
    request.name = tensor.name;
    add_layer(plan_.layers, request);
    plan_.layers.layers.back().unsigned_codes = planned.layout->storage.unsigned_codes;
    const LayerToEncode layer{&tensor, &formats_[chosen]};
    to_encode_.push_back(layer);
    layout_of_layer_.push_back(planned.layout);
    placement.add(number, planned.layout->scheme->encode(layer, *plan_.memory));
  }

  Runtime runtime_of(const Layout* layout) const {
    return options_.runtime.value_or(layout->scheme->runtime);
  }

  // kNone also for what the caller chose to quantize.
  StayReason runtime_reason(const TensorEntry& tensor, const Layout* layout, bool by_default) {
    // What anybody reads has no scales that a loader could lose.
    if (runtime_of(layout) != Runtime::kComfyUi || layout->scheme->reader.empty()) {
      return StayReason::kNone;
    }
    const StayReason reason = comfy_->misread_reason(tensor.name);
    if (reason == StayReason::kNone) return reason;
    if (plan_.rules.reason == StayReason::kNone) plan_.rules.reason = reason;
    ++(by_default ? plan_.rules.held_back : plan_.rules.overruled);
    return by_default ? reason : StayReason::kNone;
  }

  // Whether the source has layers that the scheme's entry of the metadata describes, or would.
  bool is_config_taken(const Scheme& scheme) {
    if (scheme.config_key.empty()) return false;
    if (!config_taken_) {
      const auto kept =
          metadata_after(source_, dialects_, {.layers = {}, .any = true}, *plan_.memory);
      config_taken_ = dialects_.has(kCompressedTensorsDialect) ||
                      (kept && std::ranges::any_of(*kept, [&](const auto& item) {
                         return item.first == scheme.config_key;
                       }));
    }
    return *config_taken_;
  }

  void find_readers() {
    if (to_encode_.empty()) return;
    for (const Layout* layout : layout_of_layer_) {
      if (!layout->scheme->reader.empty()) plan_.readers.push_back(layout->scheme->reader);
    }
    for (const DialectLayer& layer : dialects_.layers()) {
      if (!layer.dialect->reader.empty()) plan_.readers.push_back(layer.dialect->reader);
    }
    std::ranges::sort(plan_.readers);
    plan_.readers.erase(std::unique(plan_.readers.begin(), plan_.readers.end()),
                        plan_.readers.end());
  }

  void describe_layers() {
    ChangedTensors changed;
    for (const LayerToEncode& layer : to_encode_) changed.layers.push_back(layer.tensor->name);
    changed.any = std::ranges::any_of(
        plan_.tensors, [](const TensorPlan& tensor) { return tensor.action != Action::kCopy; });
    plan_.metadata = metadata_after(source_, dialects_, std::move(changed), *plan_.memory);
    std::vector<const Scheme*> done;
    for (const Layout* layout : layouts_) {
      const Scheme* scheme = layout->scheme;
      if (scheme->describe == nullptr || std::ranges::count(done, scheme) != 0) continue;
      done.push_back(scheme);
      std::vector<LayerToEncode> layers;
      for (std::size_t layer = 0; layer < to_encode_.size(); ++layer) {
        if (layout_of_layer_[layer]->scheme == scheme) layers.push_back(to_encode_[layer]);
      }
      if (layers.empty()) continue;
      if (!plan_.metadata) plan_.metadata.emplace();
      scheme->describe(layers, *plan_.memory, *plan_.metadata);
    }
    complete_metadata(source_, spec_of(options_.container), plan_.metadata, *plan_.memory);
  }

  const Checkpoint& source_;
  std::vector<Format> formats_;
  const FilePlanOptions& options_;
  DialectLayers dialects_;
  std::optional<bool> config_taken_;  // once it was asked for
  std::vector<const Layout*> layouts_;
  std::optional<ComfyModel> comfy_;             // when a runtime's rules are ComfyUI's
  std::vector<LayerToEncode> to_encode_;        // of each layer
  std::vector<const Layout*> layout_of_layer_;  // the same
  FilePlan plan_;
};

}  // namespace

std::uint64_t FilePlan::file_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const OutputPlan& output : outputs) bytes += output.file_bytes;
  return bytes;
}

FilePlan plan_quantized(const Checkpoint& source, std::span<const Format> formats,
                        std::span<const std::uint8_t> choices, const FilePlanOptions& options) {
  return QuantizePlanner(source, formats, options).run(choices);
}

FilePlan plan_restored(const Checkpoint& source, const StoredLayers& layers,
                       const FilePlanOptions& options) {
  check_dtype(options);
  FilePlan plan;
  plan.memory = std::make_unique<std::pmr::monotonic_buffer_resource>();
  plan.layers = plan_stored_layers(layers.layers());
  const std::size_t count = source.tensors.size();
  plan.tensors.reserve(count);
  Placement placement(plan, count, options);
  for (std::size_t index = 0; index < count; ++index) {
    const TensorEntry& tensor = source.tensors[index];
    const StoredLayer* layer = layers.owner(index);
    // A layer comes where its codes were.
    if (layer != nullptr && layer->codes() != &tensor) continue;
    TensorPlan planned;
    if (layer == nullptr) {
      plan_kept(planned, tensor, options, source, layers.left_as(tensor));
      if (!planned.stored_as.empty()) planned.reason = StayReason::kNotDecoded;
    } else {
      source.check_dimensions(tensor, layer->name, layer->shape);
      planned.action = Action::kRestore;
      planned.source = &tensor;
      planned.stored = layer;
      planned.layer = static_cast<std::uint32_t>(layer - layers.layers().data());
      planned.dtype = element_type(options.dtype.value_or(*float_dtype(layer->dtype)));
    }
    plan.tensors.push_back(planned);
    const EncodedEntry entry = kept_entry(planned);
    placement.add(static_cast<std::uint32_t>(plan.tensors.size() - 1), {&entry, 1});
  }
  ChangedTensors changed;
  for (const StoredLayer& layer : layers.layers()) changed.layers.push_back(layer.name);
  changed.any = std::ranges::any_of(
      plan.tensors, [](const TensorPlan& tensor) { return tensor.action != Action::kCopy; });
  plan.metadata =
      metadata_after(source, DialectLayers(source.tensors), std::move(changed), *plan.memory);
  complete_metadata(source, spec_of(options.container), plan.metadata, *plan.memory);
  placement.finish();
  return plan;
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "quarrow/pipeline/file_plan.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "layouts/gguf_shapes.h"
#include "pipeline/placement.h"
#include "pipeline/replaced_layers.h"
#include "quarrow/containers/container.h"
#include "quarrow/core/status.h"
#include "quarrow/layouts/comfy_model.h"
#include "quarrow/layouts/file_metadata.h"

namespace quarrow {
namespace {

class Planner {
 public:
  Planner(const Checkpoint& source, const StoredLayers& stored, std::span<const Format> formats,
          const FilePlanOptions& options)
      : source_(source),
        stored_(stored),
        dialects_(stored.dialects()),
        formats_(formats.begin(), formats.end()),
        options_(options),
        is_foreign_(source.container != options.container),
        before_(asks_for_model() ? stored.as_before(source.tensors) : TensorTable()),
        model_(asks_for_model() ? before_ : source.tensors) {
    check_descriptions(source);
    if (options.dtype && !is_written(*options.dtype)) {
      throw StatusError({.code = StatusCode::kBadDType});
    }
    for (Format& format : formats_) {
      check_format(format);
      const Layout* layout = find_layout(format, options.container);
      if (layout == nullptr) throw std::invalid_argument("no layout in the container");
      layouts_.push_back(layout);
      // Whatever the format does in memory: no file has a byte for each narrow code.
      if (format.spec->bits < 8) format.packed = true;
    }
    plan_.memory = std::make_unique<std::pmr::monotonic_buffer_resource>();
    if (is_foreign_) shapes_ = shapes_before(source, *plan_.memory);
    const bool comfy = std::ranges::any_of(
        layouts_, [&](const Layout* layout) { return runtime_of(layout) == Runtime::kComfyUi; });
    if (!comfy) return;
    comfy_.emplace(model_);
    plan_.rules.runtime = Runtime::kComfyUi;
    plan_.rules.known_model = comfy_->known();
  }

  FilePlan quantized(std::span<const std::uint8_t> choices) {
    if (!choices.empty() && choices.size() != source_.tensors.size()) {
      throw std::invalid_argument("not a choice for each tensor");
    }
    const auto choice_of = [&](const TensorEntry& tensor) {
      return choices.empty() ? kDefaultChoice : choices[index_of(tensor)];
    };
    decided_.reserve(stored_.layers().size());
    for (const StoredLayer& layer : stored_.layers()) {
      Decision decision = decide(values_of(layer), &layer, choice_of(*layer.codes()));
      decision.is_decoded = decision.reason == StayReason::kNone || is_foreign_;
      decided_.push_back(decision);
    }
    find_replaced();
    find_config();
    for (Decision& decision : decided_) {
      if (!asks_for_config(decision)) continue;
      decision.reason = StayReason::kConfigTaken;
      decision.is_decoded = is_foreign_;
    }
    find_replaced();
    return run([&](const TensorEntry& tensor) {
      Decision decision = decide(tensor, nullptr, choice_of(tensor));
      if (asks_for_config(decision)) decision.reason = StayReason::kConfigTaken;
      return decision;
    });
  }

  // `restore`: all stored layers; else those alone that the container has no place for.
  FilePlan floats(bool restore) {
    decided_.assign(stored_.layers().size(),
                    {.reason = StayReason::kRule, .is_decoded = restore || is_foreign_});
    find_replaced();
    return run([&](const TensorEntry& tensor) {
      const bool is_left = restore && !stored_.left_as(tensor).empty();
      return Decision{.reason = is_left ? StayReason::kNotDecoded : StayReason::kRule};
    });
  }

 private:
  // kNone: it is quantized to the format of the choice.
  struct Decision {
    StayReason reason = StayReason::kNone;
    std::uint8_t choice = 0;
    bool is_decoded = false;
    const TensorEntry* values = nullptr;  // what would be quantized
  };

  template <typename Decide>
  FilePlan run(Decide decide_plain) {
    const std::size_t count = source_.tensors.size();
    plan_.tensors.reserve(count);
    if (!formats_.empty()) {
      plan_.layers.layers.reserve(count);
      to_encode_.reserve(count);
      layout_of_layer_.reserve(count);
    }
    Placement placement(plan_, count, options_);
    for (std::size_t index = 0; index < count; ++index) {
      const TensorEntry& tensor = source_.tensors[index];
      const StoredLayer* layer = stored_.owner(index);
      if (stored_.is_marker(tensor)) {
        if (replaced_.have_all_marked()) continue;
        layer = nullptr;
      }
      const Decision decision = layer == nullptr ? decide_plain(tensor) : decision_of(*layer);
      // A layer comes where its codes were.
      if (decision.is_decoded && layer->codes() != &tensor) continue;
      add_tensor(tensor, decision.is_decoded ? layer : nullptr, decision, placement);
    }
    describe_layers();
    find_readers();
    plan_.placed.resize(plan_.layers.layers.size());
    placement.finish();
    return std::move(plan_);
  }

  // Whether stored layers hide names by which a runtime, or the new container, knows the model.
  bool asks_for_model() const {
    return !stored_.layers().empty() && (is_foreign_ || !formats_.empty());
  }

  std::size_t index_of(const TensorEntry& tensor) const {
    return static_cast<std::size_t>(&tensor - source_.tensors.entries().data());
  }
  const Decision& decision_of(const StoredLayer& layer) const {
    return decided_[static_cast<std::size_t>(&layer - stored_.layers().data())];
  }

  // The tensor that a stored layer was.
  const TensorEntry& values_of(const StoredLayer& layer) const {
    std::pmr::polymorphic_allocator<> memory(plan_.memory.get());
    return *memory.new_object<TensorEntry>(layer.as_before());
  }

  // `values`: of the plain tensor, or of the stored layer.
  Decision decide(const TensorEntry& values, const StoredLayer* stored, std::uint8_t choice) {
    const bool by_default = choice == kDefaultChoice;
    Decision decision{.reason = StayReason::kRule,
                      .choice = by_default ? std::uint8_t{0} : choice,
                      .values = &values};
    if (choice == kLeaveTensor) return decision;
    const Layout* layout = layouts_.at(decision.choice);
    const Format& format = formats_[decision.choice];
    const Dialect* dialect = stored == nullptr ? replaced_.dialect_of(values) : nullptr;
    const bool is_left = dialect != nullptr && !dialect->reader.empty();
    const bool is_same_layer =
        stored != nullptr && stored->scheme == layout->scheme && is_same(stored->format, format);
    if (is_left || (is_same_layer && !is_foreign_)) {
      decision.reason = StayReason::kAlreadyQuantized;
      return decision;
    }
    const Neighbours beside(source_.tensors, values.name, stored);
    decision.reason = layout->scheme->stay_reason(values, beside, format);
    if (decision.reason == StayReason::kNone && shapes_.contains(values.name)) {
      decision.reason = StayReason::kReshaped;
    }
    if (by_default && decision.reason == StayReason::kNone) {
      decision.reason = default_stay_reason(values);
    }
    if (decision.reason == StayReason::kNone) {
      decision.reason = runtime_reason(values, layout, by_default);
    }
    return decision;
  }

  // But for what no file says of its codes.
  static bool is_same(Format stored, const Format& wanted) {
    stored.packed = wanted.packed;
    stored.rounding = wanted.rounding;
    stored.seed = wanted.seed;
    return stored == wanted;
  }

  void add_tensor(const TensorEntry& tensor, const StoredLayer* decoded, const Decision& decision,
                  Placement& placement) {
    const auto number = static_cast<std::uint32_t>(plan_.tensors.size());
    TensorPlan& planned = plan_.tensors.emplace_back();
    planned.source = &tensor;
    planned.stored = decoded;
    planned.dtype = planned.dtype_before();
    if (decision.reason == StayReason::kNone) {
      return placement.add(number, quantize(planned, decision));
    }
    if (!formats_.empty() || decision.reason == StayReason::kNotDecoded) {
      planned.reason = decision.reason;
    }
    if (decoded == nullptr) note_stored(planned);
    keep(planned);
    EncodedEntry entry;
    entry.name = planned.name();
    const auto before = shapes_.find(planned.name());
    entry.shape = before == shapes_.end() ? planned.shape() : before->second;
    entry.dtype = planned.dtype;
    entry.role = Role::kCodes;
    placement.add(number, {&entry, 1});
  }

  // Of which quantized layer that stays it is a part.
  void note_stored(TensorPlan& planned) const {
    const Dialect* dialect = replaced_.dialect_of(*planned.source);
    if (dialect == nullptr) return;
    const bool is_left = planned.reason == StayReason::kNotDecoded;
    planned.stored_as = is_left ? stored_.left_as(*planned.source) : dialect->name;
    if (!is_foreign_ || dialect->reader.empty()) return;
    ContainerFault fault(ContainerRule::kQuantizedLayer, options_.container);
    fault.tensor = std::string(planned.source->name);
    fault.detail = std::string(planned.stored_as);
    throw fault;
  }

  // The dtype of what is not quantized. What is part of a quantized layer that stays is copied.
  void keep(TensorPlan& planned) const {
    if (!planned.stored_as.empty() || !float_dtype(planned.dtype)) return;
    if (options_.dtype) {
      planned.dtype = element_type(*options_.dtype);
    } else if (is_foreign_) {
      const TensorEntry values =
          planned.is_decoded() ? planned.stored->as_before() : *planned.source;
      planned.dtype = spec_of(options_.container).kept_as(values);
    }
    if (planned.is_copied()) return;
    source_.check_dimensions(*planned.source, planned.name(), planned.shape());
  }

  std::vector<EncodedEntry> quantize(TensorPlan& planned, const Decision& decision) {
    const TensorEntry& values = *decision.values;
    const Format& format = formats_[decision.choice];
    planned.format = decision.choice;
    planned.layout = layouts_[decision.choice];
    planned.layer = static_cast<std::uint32_t>(plan_.layers.layers.size());
    const DType stored_dtype = *float_dtype(values.dtype);
    LayerRequest request;
    request.view.dtype = planned.is_decoded() ? DType::kF32 : stored_dtype;
    request.view.rows = values.shape[0];
    request.view.cols = values.bytes() / size_of(stored_dtype) / values.shape[0];
    request.format = format;
    request.name = values.name;
    add_layer(plan_.layers, request);
    plan_.layers.layers.back().unsigned_codes = planned.layout->storage.unsigned_codes;
    const LayerToEncode layer{&values, &format};
    to_encode_.push_back(layer);
    layout_of_layer_.push_back(planned.layout);
    return planned.layout->scheme->encode(layer, *plan_.memory);
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

  // Whether it is for an entry of the metadata that describes layers of the source, which stay.
  bool asks_for_config(const Decision& decision) const {
    if (decision.reason != StayReason::kNone) return false;
    const std::string_view key = layouts_[decision.choice]->scheme->config_key;
    return !key.empty() && std::ranges::find(taken_, key) != taken_.end();
  }

  void find_config() {
    const auto has_key = [](const Layout* layout) { return !layout->scheme->config_key.empty(); };
    if (std::ranges::none_of(layouts_, has_key)) return;
    ChangedTensors changed{.layers = {}, .any = true};
    for (const StoredLayer& layer : stored_.layers()) {
      if (decision_of(layer).is_decoded) changed.layers.push_back(layer.name);
    }
    const bool any_left = std::ranges::any_of(dialects_.layers(), [&](const DialectLayer& layer) {
      return layer.dialect == &kCompressedTensorsDialect && !replaced_.has(layer);
    });
    const auto kept = metadata_after(source_, dialects_, std::move(changed), *plan_.memory);
    for (const Layout* layout : layouts_) {
      const std::string_view key = layout->scheme->config_key;
      if (key.empty()) continue;
      const bool is_kept =
          kept && std::ranges::any_of(*kept, [&](const auto& item) { return item.first == key; });
      // Those of a byte each are known by their configuration alone.
      const bool any_stays =
          any_left || std::ranges::any_of(stored_.layers(), [&](const StoredLayer& layer) {
            return layer.scheme->config_key == key && !decision_of(layer).is_decoded;
          });
      if (any_stays || is_kept) taken_.push_back(key);
    }
  }

  void find_replaced() {
    replaced_.find([this](const StoredLayer& layer) { return decision_of(layer).is_decoded; });
  }

  void find_readers() {
    if (to_encode_.empty()) return;
    for (const Layout* layout : layout_of_layer_) {
      if (!layout->scheme->reader.empty()) plan_.readers.push_back(layout->scheme->reader);
    }
    for (const DialectLayer& layer : dialects_.layers()) {
      if (layer.dialect->reader.empty() || replaced_.has(layer)) continue;
      plan_.readers.push_back(layer.dialect->reader);
    }
    std::ranges::sort(plan_.readers);
    plan_.readers.erase(std::unique(plan_.readers.begin(), plan_.readers.end()),
                        plan_.readers.end());
  }

  void describe_layers() {
    ChangedTensors changed;
    for (const TensorPlan& tensor : plan_.tensors) {
      if (tensor.is_quantized() || tensor.is_decoded()) changed.layers.push_back(tensor.name());
      changed.any = changed.any || !tensor.is_copied();
    }
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
    complete_metadata(source_, model_, spec_of(options_.container), plan_.metadata, *plan_.memory);
  }

  const Checkpoint& source_;
  const StoredLayers& stored_;
  const DialectLayers& dialects_;
  std::vector<Format> formats_;
  const FilePlanOptions& options_;
  const bool is_foreign_;          // the new file is of another container
  const TensorTable before_;       // with each stored layer as the tensor that it was
  const TensorTable& model_;       // that, or the source's where there are none
  Shapes shapes_;                  // of tensors that get those of before
  std::vector<Decision> decided_;  // of each stored layer
  ReplacedLayers replaced_{stored_};
  std::vector<std::string_view> taken_;  // keys of the metadata that are described already
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

FilePlan plan_quantized(const Checkpoint& source, const StoredLayers& stored,
                        std::span<const Format> formats, std::span<const std::uint8_t> choices,
                        const FilePlanOptions& options) {
  return Planner(source, stored, formats, options).quantized(choices);
}

FilePlan plan_restored(const Checkpoint& source, const StoredLayers& stored,
                       const FilePlanOptions& options) {
  return Planner(source, stored, {}, options).floats(/*restore=*/true);
}

FilePlan plan_converted(const Checkpoint& source, const StoredLayers& stored,
                        const FilePlanOptions& options) {
  return Planner(source, stored, {}, options).floats(/*restore=*/false);
}

}  // namespace quarrow

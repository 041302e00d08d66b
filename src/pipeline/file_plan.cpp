// SPDX-License-Identifier: Apache-2.0
#include "quarrow/pipeline/file_plan.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <stdexcept>

namespace quarrow {
namespace {

// Which part of which tensor an entry of the new file holds.
struct EntrySource {
  std::uint32_t tensor = 0;
  Payload payload = Payload::kCodes;
  std::string_view constant;
};

class FilePlanner {
 public:
  FilePlanner(const SafetensorsFile& source, std::span<const Format> formats)
      : source_(source), formats_(formats) {
    for (const Format& format : formats) {
      const Layout* layout = find_layout(format.spec->name, Container::kSafetensors);
      if (layout == nullptr) throw std::invalid_argument("no safetensors layout");
      layouts_.push_back(layout);
    }
    plan_.memory = std::make_unique<std::pmr::monotonic_buffer_resource>();
  }

  FilePlan run(std::span<const std::uint8_t> choices) {
    const std::size_t count = source_.tensors.size();
    plan_.tensors.resize(count);
    // Room for three entries a tensor, unused pages of which are never touched: growing would copy.
    plan_.entries.reserve(3 * count);
    sources_.reserve(3 * count);
    requests_.reserve(count);
    for (std::size_t index = 0; index < count; ++index) {
      add_tensor(index, choices.empty() ? std::uint8_t{0} : choices[index]);
    }
    plan_.quantize = plan_layers(requests_);
    for (std::size_t layer = 0; layer < to_encode_.size(); ++layer) {
      plan_.quantize.layers[layer].unsigned_codes = storage_of(layer).unsigned_codes;
    }
    describe_layers();
    place_entries();
    return std::move(plan_);
  }

 private:
  void add_tensor(std::size_t index, std::uint8_t choice) {
    const TensorEntry& tensor = source_.tensors[index];
    TensorPlan& planned = plan_.tensors[index];
    planned.reason = choice == kLeaveTensor ? StayReason::kRule
                                            : layouts_.at(choice)->stay_reason(
                                                  tensor, source_.tensors, formats_[choice]);
    if (planned.reason != StayReason::kNone) {
      add_entry(tensor, {static_cast<std::uint32_t>(index), Payload::kCodes, {}});
      return;
    }
    planned.format = choice;
    planned.layout = layouts_[choice];
    planned.layer = static_cast<std::uint32_t>(requests_.size());
    LayerRequest request;
    request.view.dtype = *float_dtype(tensor.dtype);
    request.view.rows = tensor.shape[0];
    request.view.cols = tensor.bytes() / size_of(request.view.dtype) / request.view.rows;
    request.format = formats_[choice];
    request.name = tensor.name;
    requests_.push_back(request);
    const LayerToEncode layer{&tensor, &formats_[choice]};
    to_encode_.push_back(layer);
    layout_of_layer_.push_back(layouts_[choice]);
    for (const EncodedEntry& encoded : layouts_[choice]->encode(layer, *plan_.memory)) {
      add_entry({encoded.name, encoded.shape, encoded.dtype, 0, 0},
                {static_cast<std::uint32_t>(index), encoded.payload, encoded.constant});
    }
  }

  void add_entry(const TensorEntry& entry, const EntrySource& source) {
    plan_.entries.push_back(entry);
    sources_.push_back(source);
  }

  const Storage& storage_of(std::size_t layer) const { return layout_of_layer_[layer]->storage; }

  void describe_layers() {
    plan_.metadata = source_.tensors.metadata();
    // Layouts that describe their layers in one way are one.
    using Describe = decltype(Layout::describe);
    std::vector<Describe> done;
    for (const Layout* layout : layouts_) {
      if (layout->describe == nullptr || std::ranges::count(done, layout->describe) != 0) continue;
      done.push_back(layout->describe);
      std::vector<LayerToEncode> layers;
      for (std::size_t layer = 0; layer < to_encode_.size(); ++layer) {
        if (layout_of_layer_[layer]->describe == layout->describe) {
          layers.push_back(to_encode_[layer]);
        }
      }
      if (layers.empty()) continue;
      if (!plan_.metadata) plan_.metadata.emplace();
      layout->describe(layers, *plan_.memory, *plan_.metadata);
    }
  }

  void place_entries() {
    const std::uint64_t data_bytes = assign_offsets(plan_.entries, plan_.order);
    plan_.header_bytes = SafetensorsHeader{&plan_.metadata, plan_.entries, plan_.order}.bytes();
    constexpr std::uint64_t kMaxBytes = std::numeric_limits<std::int64_t>::max();
    if (data_bytes > kMaxBytes - plan_.header_bytes) throw std::length_error("file size");
    plan_.file_bytes = plan_.header_bytes + data_bytes;
    for (std::size_t index = 0; index < sources_.size(); ++index) {
      const EntrySource& source = sources_[index];
      TensorPlan& tensor = plan_.tensors[source.tensor];
      const std::uint64_t position = plan_.header_bytes + plan_.entries[index].begin;
      tensor.bytes_out += plan_.entries[index].bytes();
      switch (source.payload) {
        case Payload::kCodes:
          tensor.data_position = position;
          break;
        case Payload::kScales:
          tensor.scales_position = position;
          break;
        case Payload::kZeroPoints:
          tensor.zero_points_position = position;
          break;
        case Payload::kConstant:
          plan_.constants.push_back({position, source.constant});
          break;
      }
    }
  }

  const SafetensorsFile& source_;
  std::span<const Format> formats_;
  std::vector<const Layout*> layouts_;
  std::vector<LayerRequest> requests_;
  std::vector<LayerToEncode> to_encode_;        // of each layer
  std::vector<const Layout*> layout_of_layer_;  // the same
  std::vector<EntrySource> sources_;
  FilePlan plan_;
};

}  // namespace

FilePlan plan_file(const SafetensorsFile& source, std::span<const Format> formats,
                   std::span<const std::uint8_t> choices) {
  return FilePlanner(source, formats).run(choices);
}

}  // namespace quarrow

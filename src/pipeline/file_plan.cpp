// SPDX-License-Identifier: Apache-2.0
#include "quarrow/pipeline/file_plan.h"

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
    place_entries();
    return std::move(plan_);
  }

 private:
  void add_tensor(std::size_t index, std::uint8_t choice) {
    const TensorEntry& tensor = source_.tensors[index];
    TensorPlan& planned = plan_.tensors[index];
    planned.reason = choice == kLeaveTensor
                         ? StayReason::kRule
                         : layouts_.at(choice)->stay_reason(tensor, source_.tensors);
    if (planned.reason != StayReason::kNone) {
      add_entry(tensor, {static_cast<std::uint32_t>(index), Payload::kCodes, {}});
      return;
    }
    planned.format = choice;
    planned.layer = static_cast<std::uint32_t>(requests_.size());
    LayerRequest request;
    request.view.dtype = *float_dtype(tensor.dtype);
    request.view.rows = tensor.shape[0];
    request.view.cols = tensor.bytes() / size_of(request.view.dtype) / request.view.rows;
    request.format = formats_[choice];
    request.name = tensor.name;
    requests_.push_back(request);
    for (const EncodedEntry& encoded : layouts_[choice]->encode(tensor, *plan_.memory)) {
      add_entry({encoded.name, encoded.shape, encoded.dtype, 0, 0},
                {static_cast<std::uint32_t>(index), encoded.payload, encoded.constant});
    }
  }

  void add_entry(const TensorEntry& entry, const EntrySource& source) {
    plan_.entries.push_back(entry);
    sources_.push_back(source);
  }

  void place_entries() {
    const std::uint64_t data_bytes = assign_offsets(plan_.entries, plan_.order);
    plan_.header_bytes =
        SafetensorsHeader{&source_.tensors.metadata(), plan_.entries, plan_.order}.bytes();
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
  std::vector<EntrySource> sources_;
  FilePlan plan_;
};

}  // namespace

FilePlan plan_file(const SafetensorsFile& source, std::span<const Format> formats,
                   std::span<const std::uint8_t> choices) {
  return FilePlanner(source, formats).run(choices);
}

}  // namespace quarrow

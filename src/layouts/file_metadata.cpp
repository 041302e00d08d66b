// SPDX-License-Identifier: Apache-2.0
#include "quarrow/layouts/file_metadata.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "containers/gguf_container.h"
#include "layouts/comfy_scheme.h"
#include "layouts/compressed_tensors.h"
#include "layouts/description.h"
#include "layouts/gguf_architecture.h"
#include "layouts/gguf_shapes.h"
#include "layouts/layer_names.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

using Metadata = TensorTable::Metadata;

// Of torchao: a list of tensors, each of which has a key of its own.
constexpr std::string_view kTensorNames = "tensor_names";

// Said of the very bytes of a file: the hash that readers check (of the model specification), which
// part of which tensor torch.distributed.checkpoint saved there, and which type GGUF's tensors have
// for the most part. Hashes by which trainers
// name a model (sshs_model_hash) stay: they tell what the file was made from.
constexpr std::array<std::string_view, 3> kOfBytes = {"modelspec.hash_sha256", "DCP_SHARDING_INFO",
                                                      kGgufFileTypeKey};

bool contains(std::span<const std::string_view> list, std::string_view text) {
  return std::ranges::find(list, text) != list.end();
}

// The metadata of one file, entry by entry.
class Rewriter {
 public:
  Rewriter(const Checkpoint& source, const DialectLayers& dialects, ChangedTensors changed,
           std::pmr::memory_resource& memory)
      : source_(source), dialects_(dialects), changed_(std::move(changed)), memory_(memory) {
    std::ranges::sort(changed_.layers);
  }

  Metadata run(const Metadata& before) {
    const bool of_torchao =
        std::ranges::any_of(before, [](const auto& item) { return item.first == kTensorNames; });
    Metadata after;
    for (const auto& item : before) {
      if (contains(kOfBytes, item.first)) continue;
      if (of_torchao && is_changed(item.first)) continue;
      const std::optional<MetadataValue> value = rewritten(item.first, item.second);
      if (value) after.emplace_back(item.first, *value);
    }
    return after;
  }

 private:
  bool is_changed(std::string_view weight) const {
    return std::ranges::binary_search(changed_.layers, weight);
  }

  // Whether the new file has codes of that layer in the place of its weight.
  bool stays_as_codes(const std::string& layer) const {
    const std::string weight = layer + std::string(kWeightSuffix);
    const TensorEntry* codes = source_.tensors.find(weight);
    return codes != nullptr && !float_dtype(codes->dtype) && !is_changed(weight);
  }
  bool stays_compressed(const std::string& layer) const {
    const std::string weight = layer + std::string(kWeightSuffix);
    const bool packed = has_entry(source_.tensors, layer, compressed_tensors::kPacked);
    return (packed && !is_changed(weight)) || stays_as_codes(layer);
  }
  bool any_layer_stays() const {
    return std::ranges::any_of(dialects_.layers(), [&](const DialectLayer& layer) {
      const std::string weight = std::string(layer.name).append(kWeightSuffix);
      return !layer.dialect->reader.empty() && !is_changed(weight);
    });
  }

  // Nothing: the key is gone. What cannot be read is left as it is.
  std::optional<MetadataValue> rewritten(std::string_view key, const MetadataValue& value) {
    const bool of_comfy = key == kComfyMetadata;
    const bool of_config = key == compressed_tensors::kConfig;
    const bool of_ours = key == compressed_tensors::kOurs;
    if (!of_comfy && !of_config && !of_ours && key != kTensorNames) return value;
    constexpr std::size_t kValuesOfLayer = 16;
    const std::optional<JsonValue> parsed =
        parse_description(value.text(), 1024 + kValuesOfLayer * source_.tensors.size());
    if (!parsed) return value;
    bool is_same = true;
    std::optional<JsonValue> left;
    if (of_comfy) {
      left = comfy_layers(*parsed, is_same);
    } else if (of_config) {
      left = config(*parsed, is_same);
    } else if (of_ours) {
      left = members(*parsed, is_same, [&](const std::string& weight) {
        return weight.ends_with(kWeightSuffix) && stays_compressed(std::string(layer_of(weight)));
      });
    } else {
      left = texts(*parsed, is_same, [&](const std::string& name) { return !is_changed(name); });
    }
    if (is_same) return value;
    if (!left) return std::nullopt;
    return keep(left->text_of(), memory_);
  }

  // The members of an object whose names stay; nothing when none does.
  template <typename Stays>
  static std::optional<JsonValue> members(const JsonValue& object, bool& is_same, Stays stays) {
    if (!object.is_object()) return object;
    JsonValue left = JsonValue::object();
    for (const auto& [name, value] : object.members()) {
      if (stays(name)) {
        left.add_member(name, value);
      } else {
        is_same = false;
      }
    }
    if (left.members().empty()) return std::nullopt;
    return left;
  }

  // The same of a list of strings.
  template <typename Stays>
  static std::optional<JsonValue> texts(const JsonValue& list, bool& is_same, Stays stays) {
    JsonValue left = JsonValue::array();
    for (const JsonValue& item : list.items()) {
      const std::string* text = item.text();
      if (text == nullptr || stays(*text)) {
        left.add_item(item);
      } else {
        is_same = false;
      }
    }
    if (left.items().empty()) return std::nullopt;
    return left;
  }

  // An object with one member replaced by what is left of it; nothing when nothing is.
  static std::optional<JsonValue> with(const JsonValue& object, std::string_view name,
                                       std::optional<JsonValue> left) {
    if (!left) return std::nullopt;
    JsonValue result = JsonValue::object();
    for (const auto& [each, value] : object.members()) {
      result.add_member(each, each == name ? *left : value);
    }
    return result;
  }

  std::optional<JsonValue> comfy_layers(const JsonValue& all, bool& is_same) const {
    const JsonValue* layers = all.member("layers");
    if (layers == nullptr) return all;
    return with(all, "layers", members(*layers, is_same, [&](const std::string& layer) {
                  return stays_as_codes(layer);
                }));
  }

  std::optional<JsonValue> config(const JsonValue& all, bool& is_same) const {
    const JsonValue* groups = all.member("config_groups");
    const std::string* method = text_member(all, "quant_method");
    if (groups == nullptr || !groups->is_object() || method == nullptr ||
        *method != "compressed-tensors") {
      // Of other programs: it describes layers as long as there are any.
      is_same = any_layer_stays();
      return is_same ? std::optional(all) : std::nullopt;
    }
    const bool any_stays = any_layer_stays();
    JsonValue left = JsonValue::object();
    for (const auto& [name, group] : groups->members()) {
      const JsonValue* targets = group.member("targets");
      if (targets == nullptr) {
        left.add_member(name, group);
        continue;
      }
      // Names of classes speak of all layers of the file.
      auto rest = with(group, "targets", texts(*targets, is_same, [&](const std::string& target) {
                         const bool is_layer =
                             has_entry(source_.tensors, target, compressed_tensors::kPacked) ||
                             has_entry(source_.tensors, target, kWeightSuffix);
                         if (is_layer) return stays_compressed(target);
                         const bool is_class =
                             target.starts_with("re:") || target.find('.') == std::string::npos;
                         return is_class && any_stays;
                       }));
      if (rest) left.add_member(name, *std::move(rest));
    }
    if (left.members().size() != groups->members().size()) is_same = false;
    if (left.members().empty()) {
      is_same = false;
      return std::nullopt;
    }
    return with(all, "config_groups", std::move(left));
  }

  const Checkpoint& source_;
  const DialectLayers& dialects_;
  ChangedTensors changed_;
  std::pmr::memory_resource& memory_;
};

}  // namespace

std::optional<TensorTable::Metadata> metadata_after(const Checkpoint& source,
                                                    const DialectLayers& dialects,
                                                    ChangedTensors changed,
                                                    std::pmr::memory_resource& memory) {
  if (!source.tensors.metadata() && source.differing_metadata.empty()) return std::nullopt;
  Metadata before = source.tensors.metadata().value_or(Metadata());
  // ComfyUI's lists of the layers of each shard are one list of all.
  std::string listed;
  for (const auto& [key, value] : source.differing_metadata) {
    if (key != kComfyMetadata) continue;
    const std::optional<JsonValue> parsed =
        parse_description(value.text(), 1024 + 16 * source.tensors.size());
    const JsonValue* layers = parsed ? parsed->member("layers") : nullptr;
    if (layers == nullptr) continue;
    for (const auto& [layer, description] : layers->members()) {
      JsonValue member = JsonValue::object();
      member.add_member(layer, description);
      const std::string text = member.text_of();
      listed.append(listed.empty() ? "" : ", ").append(text, 1, text.size() - 2);
    }
  }
  if (!listed.empty()) {
    before.emplace_back(kComfyMetadata,
                        keep(R"({"format_version": "1.0", "layers": {)" + listed + "}}", memory));
  }
  if (!changed.any) return before;
  return Rewriter(source, dialects, std::move(changed), memory).run(before);
}

void complete_metadata(const Checkpoint& source, const TensorTable& model,
                       const ContainerSpec& container,
                       std::optional<TensorTable::Metadata>& metadata,
                       std::pmr::memory_resource& memory) {
  MetadataOrigin origin{.is_foreign = source.container != container.container};
  if (!origin.is_foreign && metadata == source.tensors.metadata()) return;
  if (origin.is_foreign) {
    origin.architecture = gguf_architecture(model);
    // The tensors have these shapes now.
    if (metadata) {
      std::erase_if(*metadata, [](const auto& item) { return is_shape_before(item.first); });
    }
  }
  container.complete(metadata, origin, memory);
}

void check_descriptions(const Checkpoint& source) {
  for (const auto& [key, value] : source.differing_metadata) {
    if (key != compressed_tensors::kConfig && key != compressed_tensors::kOurs) continue;
    CheckpointFault fault(FileRule::kMetadataConflict, source.path);
    fault.detail = std::string(key);
    throw fault;
  }
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "layouts/model_config.h"

#include <array>
#include <filesystem>
#include <string_view>
#include <utility>

#include "containers/temporary_name.h"
#include "layouts/description.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/file.h"

namespace quarrow {
namespace {

// The largest that are published list 10,000 layers to ignore in less than a megabyte.
constexpr std::uint64_t kMaxBytes = std::uint64_t{8} << 20;
constexpr std::size_t kMaxValues = std::size_t{1} << 18;

// The newer key, and llm-compressor's before it.
constexpr std::array<std::string_view, 2> kKeys = {"quantization_config", "compression_config"};
// Where models of text and images keep the configuration of their language model.
constexpr std::string_view kTextModel = "text_config";

// Whatever is wrong with a file that nobody named, it is no configuration.
std::optional<std::string> read_text(const std::string& path) {
  try {
    const File file = File::open_to_read(path);
    const std::uint64_t bytes = file.identity().bytes;
    if (bytes > kMaxBytes) return std::nullopt;
    std::string text(static_cast<std::size_t>(bytes), '\0');
    text.resize(file.read_at(text.data(), text.size(), 0));
    return text;
  } catch (const CheckpointFault&) {
    return std::nullopt;
  } catch (const std::filesystem::filesystem_error&) {
    return std::nullopt;
  }
}

const JsonValue* quantization_of(const JsonValue& config) {
  for (const std::string_view key : kKeys) {
    const JsonValue* found = config.member(key);
    if (found != nullptr && found->is_object()) return found;
  }
  return nullptr;
}

}  // namespace

std::optional<ModelConfig> read_model_config(const Checkpoint& checkpoint) {
  // Tensors in memory lie in no folder.
  if (checkpoint.path.empty()) return std::nullopt;
  const std::string path = split_path(checkpoint.path).folder + "/config.json";
  const std::optional<std::string> text = read_text(path);
  if (!text) return std::nullopt;
  const std::optional<JsonValue> config = parse_description(*text, kMaxValues);
  if (!config || !config->is_object()) {
    CheckpointFault fault(FileRule::kLayerDescription, path);
    fault.detail = "it is no JSON object";
    throw fault;
  }
  const JsonValue* found = quantization_of(*config);
  const JsonValue* text_model = config->member(kTextModel);
  if (found == nullptr && text_model != nullptr) found = quantization_of(*text_model);
  if (found == nullptr) return std::nullopt;
  return ModelConfig{path, *found};
}

}  // namespace quarrow

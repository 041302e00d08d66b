// SPDX-License-Identifier: Apache-2.0
#include "safetensors_target.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <variant>
#include <vector>

#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/safetensors.h"
#include "quarrow/core/target.h"
#include "quarrow/pipeline/file_plan.h"
#include "quarrow/pipeline/read_layer.h"

namespace quarrow::fuzz {
namespace {

// What is promised of everything that opens or is planned. Not assert(), which releases leave out.
void require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

// A file without a disk, which open_safetensors opens by its path as it does any other.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name) : file_(::memfd_create(name, MFD_CLOEXEC), name) {
    if (file_.descriptor() < 0) std::abort();
    path_ = "/proc/self/fd/" + std::to_string(file_.descriptor());
  }

  const File& file() const { return file_; }
  const std::string& path() const { return path_; }

  void resize(std::uint64_t bytes) {
    if (::ftruncate(file_.descriptor(), static_cast<off_t>(bytes)) != 0) std::abort();
  }

 private:
  File file_;
  std::string path_;
};

std::vector<Format> storable_formats() {
  std::vector<Format> formats;
  for (const FormatSpec& spec : registry()) {
    const Format format = default_format(spec);
    if (find_layout(format, Container::kSafetensors) != nullptr) formats.push_back(format);
  }
  return formats;
}

bool same_tensor(const TensorEntry& left, const TensorEntry& right) {
  return left.name == right.name && left.dtype == right.dtype &&
         std::vector(left.shape.begin(), left.shape.end()) ==
             std::vector(right.shape.begin(), right.shape.end());
}

void check_opened(const Checkpoint& opened) {
  const CheckpointFile& file = opened.files.at(0);
  require(file.data_start <= file.identity.bytes, "the header lies within the file");
  std::uint64_t covered = 0;
  for (const TensorEntry& entry : opened.tensors.entries()) {
    bool partial_byte = false;
    const auto bytes = tensor_bytes(entry.dtype, entry.shape, partial_byte);
    require(bytes && *bytes == entry.bytes(), "a tensor has the bytes of its shape");
    require(entry.begin == covered, "tensors follow each other");
    covered = entry.end;
    require(opened.tensors.find(entry.name) == &entry, "a tensor is found by its name");
  }
  require(file.data_start + covered == file.identity.bytes, "tensors end with the file");
}

// Whatever could be read, its copy can be read: a CheckpointFault would escape from here.
void check_planned(const FilePlan& plan, MemoryFile& output) {
  const OutputPlan& planned = plan.outputs.at(0);
  output.resize(0);
  SafetensorsHeader{&plan.metadata, planned.entries, planned.order}.write(output.file());
  require(output.file().identity().bytes == planned.header_bytes,
          "the header is as long as planned");
  output.resize(planned.file_bytes);
  const Checkpoint copy = open_safetensors(output.path());
  check_opened(copy);
  require(copy.tensors.metadata() == plan.metadata, "metadata is written as planned");
  require(copy.tensors.size() == planned.entries.size(), "every planned entry is written");
  for (const TensorEntry& entry : planned.entries) {
    const TensorEntry* found = copy.tensors.find(entry.name);
    require(found != nullptr && same_tensor(*found, entry), "an entry is read as it was planned");
  }
  for (const TensorPlan& tensor : plan.tensors) {
    if (tensor.action != Action::kCopy) continue;
    const TensorEntry* found = copy.tensors.find(tensor.source->name);
    require(found != nullptr && same_tensor(*found, *tensor.source), "a tensor that stays is kept");
  }
  for (const ConstantBytes& constant : planned.constants) {
    require(constant.position >= planned.header_bytes &&
                constant.position + constant.bytes.size() <= planned.file_bytes,
            "constants lie within the data");
  }
}

// Whether the entry says something of tensors, and is gone or another one when these change.
bool may_follow_layers(const TensorTable::Metadata& metadata, std::string_view key) {
  constexpr std::string_view kKeys[] = {"quantization_config", "quarrow.layers",
                                        "_quantization_metadata", "modelspec.hash_sha256",
                                        "DCP_SHARDING_INFO"};
  // With this one every key may be the name of a tensor.
  const auto is_list = [](const auto& item) { return item.first == "tensor_names"; };
  return std::ranges::find(kKeys, key) != std::end(kKeys) || std::ranges::any_of(metadata, is_list);
}

void check_quantized(const Checkpoint& source, const Format& format, MemoryFile& output) {
  const std::vector<std::uint8_t> choices(source.tensors.size(), 0);
  const FilePlan plan = plan_quantized(source, {&format, 1}, choices, {});
  if (source.tensors.metadata()) {
    for (const auto& item : *source.tensors.metadata()) {
      if (may_follow_layers(*source.tensors.metadata(), item.first)) continue;
      require(std::ranges::find(*plan.metadata, item) != plan.metadata->end(), "metadata is kept");
    }
  }
  check_planned(plan, output);
}

// Throws the CheckpointFault of a layer whose entries do not fit together.
void check_restored(const Checkpoint& source, MemoryFile& output) {
  const StoredLayers layers = find_stored_layers(source);
  const Plan plan = plan_stored_layers(layers.layers());
  for (std::size_t index = 0; index < plan.layers.size(); ++index) {
    const LayerPlan& layer = plan.layers[index];
    PerRole<std::vector<std::byte>> memory;
    QuantizedSpan span;
    for (const PartSpec& part : layer.encoding.parts()) {
      memory[part.role].resize(part.bytes());
      span[part.role] = memory[part.role].data();
    }
    read_layer(source, layers.layers()[index], layer, *default_target(), span);
  }
  check_planned(plan_restored(source, layers, {}), output);
}

}  // namespace

std::string_view run_safetensors(std::span<const std::uint8_t> bytes) {
  static MemoryFile input("input");
  static MemoryFile output("output");
  static const std::vector<Format> formats = storable_formats();
  input.resize(0);
  input.file().write_at(bytes.data(), bytes.size(), 0);
  const auto opened = [&]() -> std::variant<Checkpoint, FileRule> {
    try {
      return open_safetensors(input.path());
    } catch (const CheckpointFault& fault) {
      return fault.rule;
    }
  }();
  if (const FileRule* broken = std::get_if<FileRule>(&opened)) return name_of(*broken);
  const Checkpoint& source = std::get<Checkpoint>(opened);
  check_opened(source);
  for (const Format& format : formats) {
    check_quantized(source, format, output);
  }
  try {
    check_restored(source, output);
  } catch (const CheckpointFault& fault) {
    return name_of(fault.rule);
  }
  return kValid;
}

}  // namespace quarrow::fuzz

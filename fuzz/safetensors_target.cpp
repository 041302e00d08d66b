// SPDX-License-Identifier: Apache-2.0
#include "safetensors_target.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <variant>
#include <vector>

#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/safetensors.h"
#include "quarrow/pipeline/file_plan.h"

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
    if (find_layout(spec.name, Container::kSafetensors) != nullptr) {
      formats.push_back(default_format(spec));
    }
  }
  return formats;
}

bool same_tensor(const TensorEntry& left, const TensorEntry& right) {
  return left.name == right.name && left.dtype == right.dtype &&
         std::vector(left.shape.begin(), left.shape.end()) ==
             std::vector(right.shape.begin(), right.shape.end());
}

void check_opened(const SafetensorsFile& opened) {
  require(opened.data_start <= opened.identity.bytes, "the header lies within the file");
  std::uint64_t covered = 0;
  for (const TensorEntry& entry : opened.tensors.entries()) {
    bool partial_byte = false;
    const auto bytes = tensor_bytes(entry.dtype, entry.shape, partial_byte);
    require(bytes && *bytes == entry.bytes(), "a tensor has the bytes of its shape");
    require(entry.begin == covered, "tensors follow each other");
    covered = entry.end;
    require(opened.tensors.find(entry.name) == &entry, "a tensor is found by its name");
  }
  require(opened.data_start + covered == opened.identity.bytes, "tensors end with the file");
}

void check_planned(const SafetensorsFile& source, const FilePlan& plan, MemoryFile& output) {
  output.resize(0);
  SafetensorsHeader{&source.tensors.metadata(), plan.entries, plan.order}.write(output.file());
  require(output.file().identity().bytes == plan.header_bytes, "the header is as long as planned");
  output.resize(plan.file_bytes);
  // Whatever could be read, its copy can be read: a CheckpointFault would escape from here.
  const SafetensorsFile copy = open_safetensors(output.path());
  check_opened(copy);
  require(copy.tensors.metadata() == source.tensors.metadata(), "metadata is kept");
  require(copy.tensors.size() == plan.entries.size(), "every planned entry is written");
  for (const TensorEntry& entry : plan.entries) {
    const TensorEntry* found = copy.tensors.find(entry.name);
    require(found != nullptr && same_tensor(*found, entry), "an entry is read as it was planned");
  }
  for (std::size_t index = 0; index < source.tensors.size(); ++index) {
    if (plan.tensors[index].reason == StayReason::kNone) continue;
    const TensorEntry* found = copy.tensors.find(source.tensors[index].name);
    require(found != nullptr && same_tensor(*found, source.tensors[index]),
            "a tensor that stays is kept");
  }
  for (const ConstantBytes& constant : plan.constants) {
    require(constant.position >= plan.header_bytes &&
                constant.position + constant.bytes.size() <= plan.file_bytes,
            "constants lie within the data");
  }
}

}  // namespace

std::string_view run_safetensors(std::span<const std::uint8_t> bytes) {
  static MemoryFile input("input");
  static MemoryFile output("output");
  static const std::vector<Format> formats = storable_formats();
  input.resize(0);
  input.file().write_at(bytes.data(), bytes.size(), 0);
  const auto opened = [&]() -> std::variant<SafetensorsFile, FileRule> {
    try {
      return open_safetensors(input.path());
    } catch (const CheckpointFault& fault) {
      return fault.rule;
    }
  }();
  if (const FileRule* broken = std::get_if<FileRule>(&opened)) return name_of(*broken);
  const SafetensorsFile& source = std::get<SafetensorsFile>(opened);
  check_opened(source);
  for (const Format& format : formats) {
    check_planned(source, plan_file(source, {&format, 1}, {}), output);
  }
  return kValid;
}

}  // namespace quarrow::fuzz

// SPDX-License-Identifier: Apache-2.0
#include "file_promises.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "quarrow/containers/container.h"

namespace quarrow::fuzz {
namespace {

// A scalar may be written as one element.
bool same_tensor(const TensorEntry& left, const TensorEntry& right) {
  const bool same_shape = std::ranges::equal(left.shape, right.shape) ||
                          (right.shape.empty() && left.shape.size() == 1 && left.shape[0] == 1);
  return left.name == right.name && left.dtype == right.dtype && same_shape;
}

// Header and data of a file of zeros may be longer than a fuzzer should touch.
constexpr std::uint64_t kMostHeaderBytes = std::uint64_t{1} << 24;

}  // namespace

void require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

MemoryFile::MemoryFile(const char* name) : file_(::memfd_create(name, MFD_CLOEXEC), name) {
  if (file_.descriptor() < 0) std::abort();
  path_ = "/proc/self/fd/" + std::to_string(file_.descriptor());
}

void MemoryFile::resize(std::uint64_t bytes) {
  if (::ftruncate(file_.descriptor(), static_cast<off_t>(bytes)) != 0) std::abort();
}

void MemoryFile::fill(std::span<const std::uint8_t> bytes) {
  resize(0);
  file_.write_at(bytes.data(), bytes.size(), 0);
}

void check_opened(const Checkpoint& opened) {
  const CheckpointFile& file = opened.files.at(0);
  require(file.data_start <= file.identity.bytes, "the header lies within the file");
  const bool has_padding = opened.container != Container::kSafetensors;
  std::uint64_t covered = 0;
  for (const TensorEntry& entry : opened.tensors.entries()) {
    bool partial_byte = false;
    const auto bytes = tensor_bytes(entry.dtype, entry.shape, partial_byte);
    require(bytes && *bytes == entry.bytes(), "a tensor has the bytes of its shape");
    require(has_padding ? entry.begin >= covered : entry.begin == covered,
            "tensors follow each other");
    covered = entry.end;
    require(opened.tensors.find(entry.name) == &entry, "a tensor is found by its name");
  }
  const std::uint64_t data_bytes = file.identity.bytes - file.data_start;
  require(has_padding ? covered <= data_bytes : covered == data_bytes,
          "tensors end within the file");
}

void check_planned(const FilePlan& plan, MemoryFile& output) {
  const ContainerSpec& container = spec_of(plan.container);
  const OutputPlan& planned = plan.outputs.at(0);
  if (planned.header_bytes > kMostHeaderBytes) return;
  output.resize(0);
  container.write_header(plan.metadata, planned.entries, planned.order, output.file());
  require(output.file().identity().bytes <= planned.header_bytes,
          "the header is as long as planned");
  output.resize(planned.file_bytes);
  const Checkpoint copy = open_checkpoint(output.path(), Io::kRead);
  check_opened(copy);
  require(copy.container == plan.container, "the file is of the planned container");
  require(copy.files[0].data_start == planned.header_bytes, "the data begins where it is planned");
  require(copy.trailing_bytes == 0, "the file ends with its tensors");
  const auto metadata = [](const std::optional<TensorTable::Metadata>& any) {
    return any.value_or(TensorTable::Metadata());
  };
  require(metadata(copy.tensors.metadata()) == metadata(plan.metadata),
          "metadata is written as planned");
  require(copy.tensors.size() == planned.entries.size(), "every planned entry is written");
  for (const TensorEntry& entry : planned.entries) {
    const TensorEntry* found = copy.tensors.find(entry.name);
    require(found != nullptr && same_tensor(*found, entry), "an entry is read as it was planned");
  }
  for (const TensorPlan& tensor : plan.tensors) {
    if (!tensor.is_copied()) continue;
    const TensorEntry* found = copy.tensors.find(tensor.source->name);
    require(found != nullptr && same_tensor(*found, *tensor.source), "a tensor that stays is kept");
  }
  for (const ConstantBytes& constant : planned.constants) {
    require(constant.position >= planned.header_bytes &&
                constant.position + constant.bytes.size() <= planned.file_bytes,
            "constants lie within the data");
  }
}

}  // namespace quarrow::fuzz

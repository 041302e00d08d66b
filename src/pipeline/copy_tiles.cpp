// SPDX-License-Identifier: Apache-2.0
#include "pipeline/copy_tiles.h"

#include <algorithm>
#include <string>

#include "core/checked_math.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {
namespace {

// Larger than a tile that is computed: it costs no memory, and less time.
constexpr std::uint64_t kCopyBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kBufferBytes = std::uint64_t{256} << 10;

}  // namespace

CopyTiles::CopyTiles(const Checkpoint& source, const FilePlan& plan, Outputs outputs,
                     const Context& context)
    : source_(source),
      plan_(plan),
      outputs_(outputs),
      buffers_(std::max<std::size_t>(context.threads, 1)) {}

std::size_t CopyTiles::tile_count(const TensorPlan& tensor) const {
  return divide_up(tensor.source->bytes(), kCopyBytes);
}

std::uint64_t CopyTiles::run(std::size_t tile, std::size_t tensor, std::size_t worker) {
  const TensorPlan& planned = plan_.tensors[tensor];
  const TensorEntry& entry = *planned.source;
  auto& buffer = buffers_[worker];
  if (buffer == nullptr) buffer = std::make_unique_for_overwrite<std::byte[]>(kBufferBytes);
  const std::uint64_t offset = tile * kCopyBytes;
  const std::uint64_t bytes = std::min(kCopyBytes, entry.bytes() - offset);
  const CheckpointFile& source = source_.file_of(entry);
  if (source.memory != nullptr) {
    outputs_[planned.output]->write_at(source.memory + offset, static_cast<std::size_t>(bytes),
                                       planned.data_position + offset);
    return bytes;
  }
  const File& file = source.file;
  const std::uint64_t from = source_.position_of(entry) + offset;
  const std::uint64_t copied =
      copier_.copy({file, from}, {*outputs_[planned.output], planned.data_position + offset}, bytes,
                   {buffer.get(), kBufferBytes});
  if (copied < bytes) {
    CheckpointFault fault(FileRule::kShrank, file.path());
    fault.tensor = std::string(entry.name);
    fault.position = from + copied;
    throw fault;
  }
  return bytes;
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "pipeline/copy_tiles.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "kernels/format_kernels.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow {
namespace {

// Larger than a tile that is computed: it costs no memory, and less time.
constexpr std::uint64_t kCopyBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kBufferBytes = std::uint64_t{256} << 10;
constexpr std::uint64_t kConvertElements = std::uint64_t{64} << 10;

constexpr std::uint64_t pieces(std::uint64_t whole, std::uint64_t piece) {
  return whole / piece + (whole % piece != 0);
}

std::uint64_t elements_of(const TensorEntry& tensor) {
  return tensor.bytes() / size_of(*float_dtype(tensor.dtype));
}

// The smallest magnitude that rounds to Inf.
float smallest_infinite(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return 65520.0F;
    case DType::kBF16:
      return 0x1.FFp127F;
    case DType::kF32:
    case DType::kF64:
      break;
  }
  return std::numeric_limits<float>::infinity();
}

bool is_finite(const std::byte* data, DType dtype, std::size_t index) {
  if (dtype == DType::kF64) {
    double value = 0;
    std::memcpy(&value, data + index * sizeof(value), sizeof(value));
    return std::isfinite(value);
  }
  if (dtype == DType::kF32) {
    float value = 0;
    std::memcpy(&value, data + index * sizeof(value), sizeof(value));
    return std::isfinite(value);
  }
  std::uint16_t pattern = 0;
  std::memcpy(&pattern, data + index * sizeof(pattern), sizeof(pattern));
  const unsigned exponent = dtype == DType::kF16 ? 0x7C00U : 0x7F80U;
  return (pattern & exponent) != exponent;
}

}  // namespace

CopyTiles::CopyTiles(const Checkpoint& source, const FilePlan& plan, Outputs outputs,
                     const Context& context)
    : source_(source),
      plan_(plan),
      outputs_(outputs),
      buffers_(std::max<std::size_t>(context.threads, 1)) {}

std::size_t CopyTiles::tile_count(const TensorPlan& tensor) const {
  return pieces(tensor.source->bytes(), kCopyBytes);
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

ConvertTiles::ConvertTiles(const Checkpoint& source, const FilePlan& plan, Outputs outputs,
                           const Context& context)
    : source_(source),
      plan_(plan),
      outputs_(outputs),
      target_(context.target),
      buffers_(std::max<std::size_t>(context.threads, 1)) {}

std::size_t ConvertTiles::tile_count(const TensorPlan& tensor) const {
  return pieces(elements_of(*tensor.source), kConvertElements);
}

std::uint64_t ConvertTiles::run(std::size_t tile, std::size_t tensor, std::size_t worker) {
  const TensorPlan& planned = plan_.tensors[tensor];
  const Converted done = convert(tile, tensor, worker);
  if (done.first_overflow < done.first + done.count) {
    throw LayerFault({.code = StatusCode::kValueOverflow, .position = done.first_overflow}, tensor);
  }
  const std::size_t element_bytes = size_of(*float_dtype(planned.dtype));
  outputs_[planned.output]->write_at(buffers_[worker].output.get(),
                                     static_cast<std::size_t>(done.count * element_bytes),
                                     planned.data_position + done.first * element_bytes);
  return done.count * size_of(*float_dtype(planned.source->dtype));
}

void ConvertTiles::begin_inspection(std::size_t tensor) {
  overflows_.assign(tile_count(plan_.tensors[tensor]), 0);
}

void ConvertTiles::inspect(std::size_t tile, std::size_t tensor, std::size_t worker) {
  overflows_[tile] = convert(tile, tensor, worker).first_overflow;
}

void ConvertTiles::end_inspection(std::size_t tensor) {
  const std::uint64_t end = elements_of(*plan_.tensors[tensor].source);
  for (std::size_t tile = 0; tile < overflows_.size(); ++tile) {
    const std::uint64_t tile_end = std::min((tile + 1) * kConvertElements, end);
    if (overflows_[tile] == tile_end) continue;
    throw LayerFault({.code = StatusCode::kValueOverflow, .position = overflows_[tile]}, tensor);
  }
}

ConvertTiles::Converted ConvertTiles::convert(std::size_t tile, std::size_t tensor,
                                              std::size_t worker) {
  const TensorPlan& planned = plan_.tensors[tensor];
  const TensorEntry& entry = *planned.source;
  const DType from = *float_dtype(entry.dtype);
  const DType to = *float_dtype(planned.dtype);
  Buffers& mine = buffers_[worker];
  if (mine.input == nullptr) {
    mine.values = std::make_unique_for_overwrite<float[]>(kConvertElements);
    mine.output = std::make_unique_for_overwrite<std::byte[]>(kConvertElements * sizeof(float));
    mine.input = std::make_unique_for_overwrite<std::byte[]>(kConvertElements * sizeof(double));
  }
  Converted result;
  result.first = tile * kConvertElements;
  result.count = std::min(kConvertElements, elements_of(entry) - result.first);
  result.first_overflow = result.first + result.count;
  const std::byte* input = source_.read(entry, result.first * size_of(from),
                                        result.count * size_of(from), mine.input.get());
  const SharedKernels& kernels = shared_kernels(target_);
  const auto count = static_cast<std::size_t>(result.count);
  kernels.to_f32(input, from, count, mine.values.get());
  kernels.from_f32(mine.values.get(), count, to, mine.output.get());
  for (std::size_t i = 0; i < count; ++i) {
    const bool fits = std::abs(mine.values[i]) < smallest_infinite(to);
    if (fits || !is_finite(input, from, i)) continue;
    result.first_overflow = result.first + i;
    break;
  }
  return result;
}

}  // namespace quarrow

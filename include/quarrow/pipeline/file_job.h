// SPDX-License-Identifier: Apache-2.0
//
// Checkpoint to checkpoint, a tile at a time: memory does not grow with the file or its layers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quarrow/core/context.h"
#include "quarrow/core/status.h"
#include "quarrow/pipeline/file_plan.h"
#include "quarrow/quantize/execute.h"

namespace quarrow {

// A layer that cannot be quantized as asked.
class LayerFault : public std::exception {
 public:
  Status status;  // kNonFinite, kBeyondF32 or kRangeOverflow; the layer is the tensor's index
  std::size_t tensor = 0;  // in FilePlan::tensors

  LayerFault(const Status& failed, std::size_t index) noexcept : status(failed), tensor(index) {}
  const char* what() const noexcept override { return "quarrow::LayerFault"; }
};

// Told on the calling thread how far a job is, at every poll and at the end.
class FileProgress {
 public:
  virtual ~FileProgress() = default;
  // `done` of `total` bytes of the source's tensors are finished, lastly those of the tensor
  // `name`. One call for each tensor finished since the call before, and one for the tensor in
  // progress; done never falls, and the last call has done == total. False stops the job.
  virtual bool advanced(std::uint64_t done, std::uint64_t total,
                        std::string_view name) noexcept = 0;
};

// A layer that a program holds quantized: signed codes when symmetric, rows without padding, scales
// that the scale dtype holds exactly, zero points below 2^bits.
struct EncodedLayer {
  QuantizedView parts;
  bool packed = true;  // whether codes of less than 8 bits share their bytes
};

struct FileJobOptions {
  NonFinitePolicy policy = NonFinitePolicy::kRaise;
  bool sync = true;  // the files have reached the disk when the job returns
  bool measure_error = false;
  bool skip_faults = false;          // see FileJobResult::faults
  FileProgress* progress = nullptr;  // borrowed
  // Each layer of a quantized plan, borrowed, where the layers are quantized already: then they are
  // stored as they are, and the source's own data of these tensors is not read.
  std::span<const EncodedLayer> encoded = {};
};

struct FileJobResult {
  // False when the context's poll or the progress stopped the job, and when there are faults.
  bool finished = false;
  std::vector<ErrorSums> errors;   // of each layer of the plan, when measured
  std::vector<LayerFault> faults;  // with skip_faults: every layer that failed, in order
};

// Writes the new files: `destination`, or with several outputs shards of it and their index, whose
// names shard_paths() tells. The tiles of the plan are cut once there is room for the files: a
// header of a few bytes can claim any number of them. Unless the result is finished, and when it
// throws, the destination is what it was, of several files each of them, and no temporary file is
// left; but for the folder's entries that cannot be brought to the disk at the very end, when the
// new files are there. Throws LayerFault (the first tensor that fails, with figures for the
// whole tensor), CheckpointFault (the source changed while it was read), PathFault and
// filesystem_error; StatusError for a context, a policy or encoded layers of no use,
// std::out_of_range for a plan that nobody made.
FileJobResult run_file_job(const Checkpoint& source, FilePlan& plan, const std::string& destination,
                           const FileJobOptions& options, const Context& context);

// The same into memory: the entries of the one file where the plan has placed them, without those
// of tensors that are copied. The plan was made for memory, and `memory` has its memory_bytes (else
// std::invalid_argument); unless the result is finished, what lies there means nothing.
FileJobResult run_memory_job(const Checkpoint& source, FilePlan& plan,
                             const FileJobOptions& options, const Context& context,
                             std::span<std::byte> memory);

// The files that a job writes: one, or shards and behind them their index. There is an index when
// there are several files, or when the destination is named as one:
//   NAME.safetensors             NAME-00001-of-00002.safetensors, NAME.safetensors.index.json
//   NAME.safetensors.index.json  the same
//   NAME.safetensors.index.VARIANT.json, as diffusers and transformers name that of a variant
//                                NAME.VARIANT-00001-of-00002.safetensors, and this index
// and also for NAME.VARIANT.safetensors, where NAME is one that these libraries look for. Throws
// PathFault (kOtherFormat) for a name that says that it was another format than the container's.
std::vector<std::string> shard_paths(const std::string& destination, std::size_t outputs,
                                     Container container = Container::kSafetensors);

}  // namespace quarrow

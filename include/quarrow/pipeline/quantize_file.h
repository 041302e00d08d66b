// SPDX-License-Identifier: Apache-2.0
//
// Checkpoint to checkpoint, a tile at a time: memory does not grow with the file or its layers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
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
  Status status;           // kNonFinite or kRangeOverflow; the layer is the tensor's index
  std::size_t tensor = 0;  // in the source

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

struct FileJobOptions {
  NonFinitePolicy policy = NonFinitePolicy::kRaise;
  bool sync = true;  // the file has reached the disk when the job returns
  bool measure_error = false;
  FileProgress* progress = nullptr;  // borrowed
};

// Writes the new file. The tiles of the plan are cut once there is room for the file: a header of a
// few bytes can claim any number of them. `errors` gets one entry for each layer of plan.quantize
// when options.measure_error. False when the context's poll or the progress stopped the job. Then,
// and when it throws, the destination is what it was and no temporary file is left. Throws
// LayerFault (the first tensor in the order of the source that fails, with figures for the whole
// tensor), CheckpointFault (the source changed while it was read), PathFault and filesystem_error.
bool quantize_file(const SafetensorsFile& source, FilePlan& plan, const std::string& destination,
                   const FileJobOptions& options, const Context& context,
                   std::vector<ErrorSums>& errors);

}  // namespace quarrow

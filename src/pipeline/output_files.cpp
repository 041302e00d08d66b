// SPDX-License-Identifier: Apache-2.0
#include "pipeline/output_files.h"

#include <algorithm>

#include "containers/file_set.h"
#include "containers/safetensors_index.h"
#include "containers/temporary_name.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/container.h"
#include "quarrow/containers/header_limits.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow {
namespace {

// What is written can be read again.
void check_limits(const FilePlan& plan, const std::vector<std::string>& paths) {
  const ContainerSpec& container = spec_of(plan.container);
  std::size_t tensors = 0;
  for (std::size_t output = 0; output < plan.outputs.size(); ++output) {
    const OutputPlan& planned = plan.outputs[output];
    std::size_t dimensions = 0;
    for (const TensorEntry& entry : planned.entries) dimensions += entry.shape.size();
    if (planned.header_bytes > container.most_header_bytes ||
        planned.entries.size() > container.most_tensors || dimensions > kMaxHeaderDimensions ||
        (plan.metadata && plan.metadata->size() > kMaxHeaderKeys)) {
      throw PathFault(PathRule::kHeaderTooLarge, paths[output]);
    }
    tensors += planned.entries.size();
  }
  if (paths.size() > 1 && (tensors > kMaxIndexTensors || plan.outputs.size() > kMaxIndexFiles)) {
    throw PathFault(PathRule::kIndexTooLarge, paths.back());
  }
}

}  // namespace

OutputFiles::OutputFiles(const Checkpoint& source, const FilePlan& plan,
                         const std::string& destination, Poll* poll)
    // All files of a set lie in the folder of now, wherever the program goes while this waits.
    : plan_(plan), paths_(shard_paths(destination, plan.outputs.size(), plan.container)) {
  const bool several = paths_.size() > 1;
  if (several && !destination.empty()) {
    for (std::string& path : paths_) path = absolute_path(path);
  }
  check_limits(plan, paths_);
  const std::vector<FileIdentity> sources = source.identities();
  std::string text;
  if (several) {
    // An empty name or a folder is to be told as the caller wrote it.
    check_destination(destination, sources);
    for (const std::string& path : paths_) check_destination(path, sources);
    text = index();
    if (text.size() > kMaxHeaderBytes) throw PathFault(PathRule::kIndexTooLarge, paths_.back());
  }
  for (const std::string& path : paths_) {
    files_.push_back(std::make_unique<AtomicFile>(path, sources, poll));
  }
  if (several) set_ = std::make_unique<FileSet>(paths_);
  for (std::size_t output = 0; output < plan.outputs.size(); ++output) {
    files_[output]->resize(plan.outputs[output].file_bytes);
  }
  for (std::size_t output = 0; output < plan.outputs.size(); ++output) {
    const OutputPlan& planned = plan.outputs[output];
    const File& file = files_[output]->file();
    spec_of(plan.container).write_header(plan.metadata, planned.entries, planned.order, file);
    for (const ConstantBytes& constant : planned.constants) {
      file.write_at(constant.bytes.data(), constant.bytes.size(), constant.position);
    }
  }
  if (several) files_.back()->file().write_at(text.data(), text.size(), 0);
}

OutputFiles::~OutputFiles() = default;

std::vector<const File*> OutputFiles::files() const {
  std::vector<const File*> files;
  for (std::size_t output = 0; output < plan_.outputs.size(); ++output) {
    files.push_back(&files_[output]->file());
  }
  return files;
}

std::string OutputFiles::index() const {
  std::vector<std::string> names;
  std::vector<SafetensorsIndex::Entry> entries;
  std::uint64_t data_bytes = 0;
  for (std::uint32_t output = 0; output < plan_.outputs.size(); ++output) {
    const OutputPlan& planned = plan_.outputs[output];
    names.push_back(split_path(paths_[output]).name);
    for (const TensorEntry& entry : planned.entries) entries.push_back({entry.name, output});
    data_bytes += planned.file_bytes - planned.header_bytes;
  }
  std::ranges::sort(entries, {}, &SafetensorsIndex::Entry::name);
  return index_text(names, entries, data_bytes);
}

bool OutputFiles::flush(Poll* poll) {
  for (std::size_t output = 0; output < plan_.outputs.size(); ++output) {
    if (!files_[output]->flush(plan_.outputs[output].file_bytes, poll)) return false;
  }
  return true;
}

void OutputFiles::publish(bool sync) {
  for (const auto& file : files_) file->finish(sync);
  if (set_) {
    set_->publish(files_, sync);
  } else {
    files_[0]->publish(sync);
  }
}

}  // namespace quarrow

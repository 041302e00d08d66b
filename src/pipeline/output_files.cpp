// SPDX-License-Identifier: Apache-2.0
#include "pipeline/output_files.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "containers/safetensors_index.h"
#include "containers/temporary_name.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/safetensors.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow {
namespace {

constexpr std::string_view kEnding = ".safetensors";

std::string shard_tail(std::size_t number, std::size_t count) {
  char text[48];
  std::snprintf(text, sizeof(text), "-%05zu-of-%05zu", number, count);
  return text;
}

}  // namespace

std::vector<std::string> shard_paths(const std::string& destination, std::size_t outputs) {
  if (outputs == 1) return {destination};
  const bool has_ending = destination.ends_with(kEnding);
  const std::string stem =
      has_ending ? destination.substr(0, destination.size() - kEnding.size()) : destination;
  std::vector<std::string> paths;
  for (std::size_t number = 1; number <= outputs; ++number) {
    paths.push_back(stem + shard_tail(number, outputs) + std::string(kEnding));
  }
  paths.push_back(stem + std::string(kEnding) + ".index.json");
  return paths;
}

OutputFiles::OutputFiles(const Checkpoint& source, const FilePlan& plan,
                         const std::string& destination)
    : plan_(plan), paths_(shard_paths(destination, plan.outputs.size())) {
  std::vector<FileIdentity> sources;
  for (const CheckpointFile& file : source.files) sources.push_back(file.identity);
  for (const OutputPlan& output : plan.outputs) {
    if (output.header_bytes - sizeof(std::uint64_t) > kMaxHeaderBytes) {
      throw PathFault(PathRule::kHeaderTooLarge, destination);
    }
  }
  // An empty name or a folder is to be told as the caller wrote it.
  check_destination(destination, sources);
  for (const std::string& path : paths_) {
    files_.push_back(std::make_unique<AtomicFile>(path, sources));
  }
  for (std::size_t output = 0; output < plan.outputs.size(); ++output) {
    files_[output]->resize(plan.outputs[output].file_bytes);
  }
  for (std::size_t output = 0; output < plan.outputs.size(); ++output) {
    const OutputPlan& planned = plan.outputs[output];
    const File& file = files_[output]->file();
    SafetensorsHeader{&plan.metadata, planned.entries, planned.order}.write(file);
    for (const ConstantBytes& constant : planned.constants) {
      file.write_at(constant.bytes.data(), constant.bytes.size(), constant.position);
    }
  }
  if (plan.outputs.size() > 1) write_index();
}

std::vector<const File*> OutputFiles::files() const {
  std::vector<const File*> files;
  for (std::size_t output = 0; output < plan_.outputs.size(); ++output) {
    files.push_back(&files_[output]->file());
  }
  return files;
}

void OutputFiles::write_index() {
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
  const std::string text = index_text(names, entries, data_bytes);
  files_.back()->file().write_at(text.data(), text.size(), 0);
}

bool OutputFiles::flush(Poll* poll) {
  for (std::size_t output = 0; output < plan_.outputs.size(); ++output) {
    if (!files_[output]->flush(plan_.outputs[output].file_bytes, poll)) return false;
  }
  return true;
}

void OutputFiles::publish(bool sync) {
  for (const auto& file : files_) file->finish(sync);
  if (files_.size() > 1 && ::unlink(paths_.back().c_str()) != 0 && errno != ENOENT) {
    throw_os_error(errno, paths_.back());
  }
  for (const auto& file : files_) file->publish(sync);
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "containers/safetensors_index.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "containers/foreign_file.h"
#include "containers/header_stream.h"
#include "containers/open_objects.h"
#include "core/json_text.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/safetensors.h"

namespace quarrow {
namespace {

constexpr std::string_view kWeightMap = "weight_map";

// The name of a file in the folder of the index.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

// The callbacks are those of nlohmann's SAX interface; they throw CheckpointFault.
class IndexReader {
 public:
  using Json = HeaderJson;
  using Entry = SafetensorsIndex::Entry;

  IndexReader(const HeaderStream& stream, const std::string& path,
              std::pmr::memory_resource& memory)
      : stream_(stream), path_(path), memory_(memory) {}

  std::vector<Entry> entries;
  std::map<std::string, std::uint32_t, std::less<>> files;  // numbered as they come
  bool has_map = false;

  bool start_object(std::size_t) {
    if (in_map_) {
      if (depth() != 1) fail_value();
      has_map = true;
    } else if (depth() >= kMaxHeaderDepth) {
      fail(FileRule::kTooDeep);
    }
    objects_.open();
    ++depth_;
    return true;
  }
  bool end_object() {
    if (const auto twice = objects_.close()) fail(FileRule::kDuplicateKey, std::string(*twice));
    --depth_;
    if (depth() == 1) in_map_ = false;
    return true;
  }
  bool start_array(std::size_t) {
    if (in_map_ || depth() == 0) fail_value();
    if (depth() >= kMaxHeaderDepth) fail(FileRule::kTooDeep);
    ++depth_;
    return true;
  }
  bool end_array() {
    --depth_;
    return true;
  }
  bool key(std::string& text) {
    if (depth() == 1) in_map_ = text == kWeightMap;
    const std::string_view name = kept(text);
    objects_.add(name);
    if (in_map_ && depth() == 2) {
      if (entries.size() == kMaxIndexTensors) fail(FileRule::kTooManyKeys);
      entries.push_back({name, 0});
    } else if (++other_keys_ > kMaxHeaderKeys) {
      fail(FileRule::kTooManyKeys);
    }
    return true;
  }
  bool string(std::string& text) {
    if (!in_map_) return value();
    if (depth() != 2) fail_value();
    if (!is_plain_name(text)) fail(FileRule::kShardName, text);
    auto found = files.find(text);
    if (found == files.end()) {
      if (files.size() == kMaxIndexFiles) fail(FileRule::kTooManyKeys);
      found = files.emplace(text, static_cast<std::uint32_t>(files.size())).first;
    }
    entries.back().file = found->second;
    return true;
  }
  bool number_unsigned(Json::number_unsigned_t) { return value(); }
  bool number_integer(Json::number_integer_t) { return value(); }
  bool number_float(Json::number_float_t, const std::string&) { return value(); }
  bool boolean(bool) { return value(); }
  bool null() { return value(); }
  bool binary(Json::binary_t&) { return value(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    const std::string_view words = error.what();
    if (words.find("UTF-8") != std::string_view::npos) fail(FileRule::kInvalidUtf8);
    fail(FileRule::kInvalidJson, json_fault_text(words));
  }

 private:
  std::size_t depth() const noexcept { return depth_; }

  bool value() {
    if (in_map_ || depth() == 0) fail_value();
    return true;
  }

  std::string_view kept(std::string_view text) {
    if (text.empty()) return {};
    char* copy = static_cast<char*>(memory_.allocate(text.size(), 1));
    std::memcpy(copy, text.data(), text.size());
    return {copy, text.size()};
  }

  [[noreturn]] void fail_value() const { fail(FileRule::kIndexMap); }
  [[noreturn]] void fail(FileRule rule, std::string detail = {}) const {
    CheckpointFault fault(rule, path_);
    fault.position = stream_.position();
    fault.detail = std::move(detail);
    throw fault;
  }

  const HeaderStream& stream_;
  const std::string& path_;
  std::pmr::memory_resource& memory_;
  OpenObjects objects_;
  std::size_t depth_ = 0;
  std::size_t other_keys_ = 0;
  bool in_map_ = false;  // the value of "weight_map", from its key on
};

}  // namespace

SafetensorsIndex::SafetensorsIndex(const std::string& path)
    : memory_(std::make_unique<std::pmr::monotonic_buffer_resource>()) {
  const File file = File::open_to_read(path);
  identity_ = file.identity();
  const std::uint64_t bytes = identity_.bytes;
  char first[kForeignFileBytes] = {};
  const std::string_view start(first, file.read_at(first, sizeof(first), 0));
  const auto foreign = foreign_file(start, bytes);
  if (foreign && *foreign != FileRule::kJson) throw CheckpointFault(*foreign, path);
  if (bytes > kMaxHeaderBytes) throw CheckpointFault(FileRule::kHeaderTooLarge, path);

  HeaderStream stream(file, 0, bytes);
  IndexReader reader(stream, path, *memory_);
  HeaderJson::sax_parse(HeaderIterator(stream), HeaderIterator(), &reader);
  if (!reader.has_map) throw CheckpointFault(FileRule::kIndexMap, path);

  // The files in the order of their names, whatever the order of the tensors.
  std::vector<std::uint32_t> numbers(reader.files.size());
  for (const auto& [name, number] : reader.files) {
    numbers[number] = static_cast<std::uint32_t>(files_.size());
    files_.push_back(name);
  }
  entries_ = std::move(reader.entries);
  for (Entry& entry : entries_) entry.file = numbers[entry.file];
  std::ranges::sort(entries_, {}, &Entry::name);
}

std::optional<std::uint32_t> SafetensorsIndex::find(std::string_view name) const noexcept {
  const auto found = std::ranges::lower_bound(entries_, name, {}, &Entry::name);
  if (found == entries_.end() || found->name != name) return std::nullopt;
  return found->file;
}

SafetensorsIndex::Entry SafetensorsIndex::first_missing(const TensorTable& tensors) const {
  return *std::ranges::find_if(
      entries_, [&](const Entry& entry) { return tensors.find(entry.name) == nullptr; });
}

std::string index_text(const std::vector<std::string>& files,
                       const std::vector<SafetensorsIndex::Entry>& entries,
                       std::uint64_t data_bytes) {
  std::string text = "{\n  \"metadata\": {\n    \"total_size\": " + std::to_string(data_bytes) +
                     "\n  },\n  \"weight_map\": {";
  std::string_view separator = "\n    ";
  for (const SafetensorsIndex::Entry& entry : entries) {
    text.append(separator).append(json_text(entry.name)).append(": ");
    text.append(json_text(files[entry.file]));
    separator = ",\n    ";
  }
  return text + "\n  }\n}\n";
}

}  // namespace quarrow

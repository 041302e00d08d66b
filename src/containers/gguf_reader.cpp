// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "containers/gguf_container.h"
#include "containers/gguf_stream.h"
#include "containers/opened_file.h"
#include "core/checked_math.h"
#include "core/utf8.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/header_limits.h"

namespace quarrow {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
// Of a tensor: length, a name of one byte, the number of dimensions, type and offset.
constexpr std::uint64_t kLeastTensorBytes = 25;
// Of a key: length, type and a value of one byte; names may be empty.
constexpr std::uint64_t kLeastKeyBytes = 13;

class GgufReader {
 public:
  GgufReader(const File& file, std::uint64_t file_bytes, TensorTable& table)
      : stream_(file, file_bytes), file_bytes_(file_bytes), table_(table) {}

  void run() {
    char magic[kGgufMagic.size()];
    stream_.read(magic, sizeof(magic));
    check_version(stream_.number<std::uint32_t>());
    const auto tensors = stream_.count<std::uint64_t>(kLeastTensorBytes, "tensors");
    if (tensors > kMaxGgufTensors) throw stream_.fault(FileRule::kTooManyKeys);
    const auto keys = stream_.count<std::uint64_t>(kLeastKeyBytes, "metadata entries");
    if (keys > kMaxHeaderKeys) throw stream_.fault(FileRule::kTooManyKeys);
    read_metadata(keys);
    alignment_ = gguf_alignment(table_.metadata());
    table_.reserve(static_cast<std::size_t>(tensors));
    for (std::uint64_t index = 0; index < tensors; ++index) read_tensor();
  }

  std::uint64_t data_start() const noexcept { return round_up(stream_.position(), alignment_); }
  // Of the data, the padding behind the last tensor included.
  std::uint64_t data_bytes() const noexcept { return data_end_; }

 private:
  void check_version(std::uint32_t version) {
    // 3, or 2, as a processor of the other byte order writes it.
    if (version != 0 && (version & 0xffffU) == 0) throw stream_.fault(FileRule::kGgufByteOrder);
    if (version >= kOldestGguf && version <= kNewestGguf) return;
    throw stream_.fault(FileRule::kGgufVersion, std::to_string(version));
  }

  void read_metadata(std::uint64_t count) {
    TensorTable::Metadata metadata;
    std::vector<std::string_view> keys;
    metadata.reserve(static_cast<std::size_t>(count));
    keys.reserve(static_cast<std::size_t>(count));
    for (std::uint64_t index = 0; index < count; ++index) {
      const std::string_view key = text("letters of a key");
      if (!is_utf8(key)) throw stream_.fault(FileRule::kInvalidUtf8, "a key");
      keys.push_back(key);
      const auto type = stream_.number<std::uint32_t>();
      metadata.emplace_back(key, value(checked_type(type)));
      if (key == kGgufAlignmentKey) check_alignment(metadata.back().second);
    }
    std::ranges::sort(keys);
    const auto twice = std::ranges::adjacent_find(keys);
    if (twice != keys.end()) throw stream_.fault(FileRule::kDuplicateKey, std::string(*twice));
    table_.set_metadata(std::move(metadata));
  }

  void check_alignment(const MetadataValue& value) {
    if (value.type() == ValueType::kU32 && std::has_single_bit(value.as_integer())) return;
    throw stream_.fault(FileRule::kAlignment);
  }

  ValueType checked_type(std::uint32_t number) const {
    if (number < kValueTypes) return static_cast<ValueType>(number);
    throw stream_.fault(FileRule::kValueType, std::to_string(number));
  }

  // Bytes that follow, in the table, behind room for as many in front of them.
  std::span<char> bytes(std::uint64_t count, std::size_t in_front = 0) {
    const std::span<char> kept = table_.room(static_cast<std::size_t>(count) + in_front);
    stream_.read(kept.data() + in_front, count);
    return kept;
  }

  std::string_view text(std::string_view what) {
    const auto length = stream_.count<std::uint64_t>(1, what);
    const std::span<char> kept = bytes(length);
    return {kept.data(), kept.size()};
  }

  MetadataValue value(ValueType type) {
    if (type == ValueType::kText) return {type, text("letters of a text")};
    if (type == ValueType::kList) return list();
    const std::span<char> kept = bytes(bytes_of(type));
    if (type == ValueType::kBool) check_bools(kept);
    return {type, {kept.data(), kept.size()}};
  }

  // Kept as it is stored: the type of the items, their count, the items.
  MetadataValue list() {
    const auto type_number = stream_.number<std::uint32_t>();
    const ValueType type = checked_type(type_number);
    if (type == ValueType::kList) throw stream_.fault(FileRule::kNestedList);
    const bool is_of_texts = type == ValueType::kText;
    const std::uint64_t item_bytes = is_of_texts ? kLengthBytes : bytes_of(type);
    const auto count = stream_.count<std::uint64_t>(item_bytes, "items of a list");
    if (is_of_texts) return text_list(type_number, count);
    constexpr std::size_t kFront = sizeof(type_number) + sizeof(count);
    const std::span<char> kept = bytes(count * item_bytes, kFront);
    std::memcpy(kept.data(), &type_number, sizeof(type_number));
    std::memcpy(kept.data() + sizeof(type_number), &count, sizeof(count));
    if (type == ValueType::kBool) check_bools(kept.subspan(kFront));
    return {ValueType::kList, {kept.data(), kept.size()}};
  }

  MetadataValue text_list(std::uint32_t type, std::uint64_t count) {
    list_.clear();
    const auto append = [&](const auto& number) {
      list_.append(reinterpret_cast<const char*>(&number), sizeof(number));
    };
    append(type);
    append(count);
    for (std::uint64_t index = 0; index < count; ++index) {
      const auto length = stream_.count<std::uint64_t>(1, "letters of a text");
      append(length);
      const std::size_t begin = list_.size();
      list_.resize(begin + static_cast<std::size_t>(length));
      stream_.read(list_.data() + begin, length);
    }
    return {ValueType::kList, table_.keep(list_)};
  }

  void check_bools(std::span<const char> values) const {
    const auto is_bool = [](char each) { return each == 0 || each == 1; };
    if (!std::ranges::all_of(values, is_bool)) throw stream_.fault(FileRule::kBoolValue);
  }

  void read_tensor() {
    TensorEntry entry;
    entry.name = text("letters of a tensor's name");
    check_name(entry.name);
    const auto dimensions = stream_.count<std::uint32_t>(sizeof(std::uint64_t), "dimensions");
    dimensions_ += static_cast<std::size_t>(dimensions);
    if (dimensions_ > kMaxHeaderDimensions) fail(entry, FileRule::kTooManyDimensions);
    shape_.resize(static_cast<std::size_t>(dimensions));
    // Rows first, as everybody but ggml shows them.
    for (auto axis = shape_.rbegin(); axis != shape_.rend(); ++axis) {
      *axis = stream_.number<std::uint64_t>();
    }
    entry.shape = table_.keep(shape_);
    const auto type = stream_.number<std::uint32_t>();
    const std::optional<ElementType> known = element_type_from_ggml(type);
    if (!known) fail(entry, FileRule::kUnknownDType, "ggml type " + std::to_string(type));
    entry.dtype = *known;
    bool partial_block = false;
    const auto bytes = tensor_bytes(entry.dtype, entry.shape, partial_block);
    if (!bytes && partial_block) {
      fail(entry, FileRule::kPartialBlock, std::string(name_of(entry.dtype)));
    }
    if (!bytes) fail(entry, FileRule::kShapeOverflow);
    entry.begin = stream_.number<std::uint64_t>();
    if (entry.begin % alignment_ != 0) fail(entry, FileRule::kMisaligned);
    // ggml wants one order, and no bytes between the tensors but padding.
    if (entry.begin < data_end_) fail(entry, FileRule::kOverlap);
    if (entry.begin > data_end_) fail(entry, FileRule::kHole);
    if (entry.begin > file_bytes_ || *bytes > file_bytes_ - entry.begin) {
      fail(entry, FileRule::kOffsetsPastEnd);
    }
    entry.end = entry.begin + *bytes;
    data_end_ = round_up(entry.end, alignment_);
    table_.add(entry);
  }

  void check_name(std::string_view name) const {
    if (is_gguf_name(name)) return;
    if (!is_utf8(name)) throw stream_.fault(FileRule::kInvalidUtf8, "a tensor's name");
    throw stream_.fault(FileRule::kTensorName);
  }

  [[noreturn]] void fail(const TensorEntry& tensor, FileRule rule, std::string detail = {}) const {
    CheckpointFault fault = stream_.fault(rule, std::move(detail));
    fault.tensor = std::string(tensor.name);
    throw fault;
  }

  GgufStream stream_;
  std::uint64_t file_bytes_;
  TensorTable& table_;
  std::uint64_t alignment_ = kGgufAlignment;
  std::uint64_t data_end_ = 0;
  std::size_t dimensions_ = 0;  // of all tensors so far
  std::vector<std::uint64_t> shape_;
  std::string list_;  // of texts, while it is read
};

// The last one may lack its padding.
void check_ends(const Checkpoint& opened) {
  const CheckpointFile& file = opened.files[0];
  for (const TensorEntry& entry : opened.tensors.entries()) {
    if (entry.end <= file.identity.bytes - file.data_start) continue;
    CheckpointFault fault(FileRule::kOffsetsPastEnd, opened.path);
    fault.tensor = std::string(entry.name);
    fault.position = file.data_start + entry.begin;
    throw fault;
  }
}

void check_names(const Checkpoint& opened) {
  const TensorEntry* twice = opened.tensors.name_twice();
  if (twice == nullptr) return;
  CheckpointFault fault(FileRule::kDuplicateKey, opened.path);
  fault.tensor = std::string(twice->name);
  fault.detail = fault.tensor;
  throw fault;
}

}  // namespace

std::uint64_t gguf_alignment(const std::optional<TensorTable::Metadata>& metadata) noexcept {
  if (!metadata) return kGgufAlignment;
  const auto found =
      std::ranges::find(*metadata, kGgufAlignmentKey, [](const auto& item) { return item.first; });
  const bool is_said = found != metadata->end() && found->second.type() == ValueType::kU32;
  return is_said ? found->second.as_integer() : kGgufAlignment;
}

Checkpoint read_gguf(OpenedFile&& from) {
  Checkpoint opened;
  opened.path = from.file.path();
  opened.container = Container::kGguf;
  opened.files.push_back(
      {.file = std::move(from.file), .identity = from.identity, .mapping = nullptr});
  CheckpointFile& file = opened.files[0];
  const std::uint64_t file_bytes = file.identity.bytes;
  GgufReader reader(file.file, file_bytes, opened.tensors);
  reader.run();
  // Without tensors the header may end with the file.
  file.data_start = std::min(reader.data_start(), file_bytes);
  file.header_bytes = file.data_start;
  opened.tensors.seal();
  check_names(opened);
  check_ends(opened);
  const std::uint64_t data_bytes = file_bytes - file.data_start;
  opened.trailing_bytes = data_bytes - std::min(data_bytes, reader.data_bytes());
  return opened;
}

}  // namespace quarrow

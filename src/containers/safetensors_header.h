// SPDX-License-Identifier: Apache-2.0
//
// The JSON of a safetensors header, event by event. A document tree of a 77 MB header takes 600 MB,
// drops duplicate keys and loses their order.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containers/header_stream.h"
#include "containers/open_objects.h"
#include "quarrow/containers/tensor_table.h"

namespace quarrow {

// Fills a table with the entries of a header, in its order and not yet checked against the file's
// size. The callbacks are those of nlohmann's SAX interface; they throw CheckpointFault.
class SafetensorsHeaderReader {
 public:
  using Json = HeaderJson;

  SafetensorsHeaderReader(const HeaderStream& stream, const std::string& path, TensorTable& table)
      : stream_(stream), path_(path), table_(table) {}

  bool start_object(std::size_t);
  bool end_object();
  bool start_array(std::size_t);
  bool end_array();
  bool key(std::string& text);
  bool string(std::string& text);
  bool number_unsigned(Json::number_unsigned_t value);
  bool number_integer(Json::number_integer_t) { return other_value(); }
  bool number_float(Json::number_float_t, const std::string&) { return other_value(); }
  bool boolean(bool) { return other_value(); }
  bool null();
  bool binary(Json::binary_t&) { return other_value(); }
  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::detail::exception& error);

 private:
  // Where the next value belongs.
  enum class Place : std::uint8_t { kRoot, kEntry, kMetadata, kMetadataValue, kField };
  enum class Field : std::uint8_t { kDType, kShape, kOffsets, kUnknown };

  bool other_value();
  void begin_entry();
  void finish_entry();
  void enter();
  void count_key();
  [[noreturn]] void fail(FileRule rule, std::string detail = {}) const;
  [[noreturn]] void fail_value() const;

  const HeaderStream& stream_;
  const std::string& path_;
  TensorTable& table_;
  OpenObjects objects_;
  TensorTable::Metadata metadata_;
  Place place_ = Place::kRoot;
  Field field_ = Field::kUnknown;
  std::size_t unknown_depth_ = 0;  // open brackets of an unknown field
  bool in_list_ = false;           // of shape or data_offsets
  std::size_t dimensions_ = 0;     // of all tensors so far
  std::size_t keys_ = 0;           // of metadata and unknown fields so far
  // The entry being read.
  std::string_view name_;
  std::optional<ElementType> dtype_;
  std::optional<std::vector<std::uint64_t>> shape_;
  std::optional<std::vector<std::uint64_t>> offsets_;
};

}  // namespace quarrow

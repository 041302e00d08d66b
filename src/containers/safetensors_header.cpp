// SPDX-License-Identifier: Apache-2.0
#include "containers/safetensors_header.h"

#include "quarrow/containers/safetensors.h"

namespace quarrow {

bool SafetensorsHeaderReader::start_object(std::size_t) {
  switch (place_) {
    case Place::kRoot:
      break;
    case Place::kEntry:
      begin_entry();
      break;
    case Place::kMetadata:
      break;
    case Place::kMetadataValue:
      fail_value();
    case Place::kField:
      if (field_ != Field::kUnknown) fail_value();
      enter();
      break;
  }
  objects_.open();
  return true;
}

bool SafetensorsHeaderReader::end_object() {
  if (const auto twice = objects_.close()) fail(FileRule::kDuplicateKey, std::string(*twice));
  if (unknown_depth_ > 0) {
    --unknown_depth_;
  } else if (place_ == Place::kField) {
    finish_entry();
    name_ = {};
    place_ = Place::kRoot;
  } else if (place_ == Place::kMetadata || place_ == Place::kMetadataValue) {
    table_.set_metadata(std::move(metadata_));
    place_ = Place::kRoot;
  }
  return true;
}

bool SafetensorsHeaderReader::start_array(std::size_t) {
  if (place_ != Place::kField || in_list_) fail_value();
  switch (field_) {
    case Field::kDType:
      fail_value();
    case Field::kShape:
      shape_.emplace();
      in_list_ = true;
      break;
    case Field::kOffsets:
      offsets_.emplace();
      in_list_ = true;
      break;
    case Field::kUnknown:
      enter();
      break;
  }
  return true;
}

bool SafetensorsHeaderReader::end_array() {
  if (unknown_depth_ > 0) {
    --unknown_depth_;
  } else {
    in_list_ = false;
  }
  return true;
}

bool SafetensorsHeaderReader::key(std::string& text) {
  if (objects_.depth() == 1) {
    if (text == "__metadata__") {
      objects_.add("__metadata__");
      place_ = Place::kMetadata;
    } else {
      name_ = table_.keep(text);
      objects_.add(name_);
      place_ = Place::kEntry;
    }
    return true;
  }
  if (place_ == Place::kMetadata || place_ == Place::kMetadataValue) {
    count_key();
    const std::string_view kept = table_.keep(text);
    objects_.add(kept);
    metadata_.emplace_back(kept, std::string_view{});
    place_ = Place::kMetadataValue;
    return true;
  }
  if (unknown_depth_ > 0) {
    count_key();
    objects_.add(table_.keep(text));
    return true;
  }
  place_ = Place::kField;
  if (text == "dtype") {
    field_ = Field::kDType;
    objects_.add("dtype");
  } else if (text == "shape") {
    field_ = Field::kShape;
    objects_.add("shape");
  } else if (text == "data_offsets") {
    field_ = Field::kOffsets;
    objects_.add("data_offsets");
  } else {
    field_ = Field::kUnknown;
    objects_.add(table_.keep(text));
  }
  return true;
}

bool SafetensorsHeaderReader::string(std::string& text) {
  if (place_ == Place::kMetadataValue) {
    metadata_.back().second = table_.keep(text);
    return true;
  }
  if (place_ != Place::kField || field_ != Field::kDType) return other_value();
  dtype_ = element_type_from_name(text);
  if (!dtype_ || !is_in_safetensors(*dtype_)) fail(FileRule::kUnknownDType, text);
  return true;
}

bool SafetensorsHeaderReader::number_unsigned(Json::number_unsigned_t value) {
  if (!in_list_) return other_value();
  if (field_ == Field::kShape) {
    if (++dimensions_ > kMaxHeaderDimensions) fail(FileRule::kTooManyDimensions);
    shape_->push_back(value);
  } else {
    if (offsets_->size() == 2) fail(FileRule::kFieldType, "data_offsets");
    offsets_->push_back(value);
  }
  return true;
}

bool SafetensorsHeaderReader::parse_error(std::size_t, const std::string&,
                                          const nlohmann::detail::exception& error) {
  const std::string_view words = error.what();
  if (words.find("UTF-8") != std::string_view::npos) fail(FileRule::kInvalidUtf8);
  fail(FileRule::kInvalidJson, json_fault_text(words));
}

bool SafetensorsHeaderReader::null() {
  if (place_ != Place::kMetadata) return other_value();
  // Some writers say so that there is no metadata; the safetensors library takes it.
  place_ = Place::kRoot;
  return true;
}

bool SafetensorsHeaderReader::other_value() {
  if (place_ != Place::kField || field_ != Field::kUnknown) fail_value();
  return true;
}

void SafetensorsHeaderReader::begin_entry() {
  dtype_.reset();
  shape_.reset();
  offsets_.reset();
  place_ = Place::kField;
  field_ = Field::kUnknown;
}

void SafetensorsHeaderReader::finish_entry() {
  if (!dtype_) fail(FileRule::kMissingField, "dtype");
  if (!shape_) fail(FileRule::kMissingField, "shape");
  if (!offsets_) fail(FileRule::kMissingField, "data_offsets");
  if (offsets_->size() != 2) fail(FileRule::kFieldType, "data_offsets");
  TensorEntry entry;
  entry.name = name_;
  entry.shape = table_.keep(*shape_);
  entry.dtype = *dtype_;
  entry.begin = (*offsets_)[0];
  entry.end = (*offsets_)[1];
  if (entry.begin > entry.end) fail(FileRule::kOffsetsReversed);
  bool partial_byte = false;
  const auto bytes = tensor_bytes(entry.dtype, entry.shape, partial_byte);
  if (!bytes) fail(partial_byte ? FileRule::kPartialByte : FileRule::kShapeOverflow);
  if (*bytes != entry.bytes()) fail(FileRule::kSizeMismatch);
  table_.add(entry);
}

void SafetensorsHeaderReader::enter() {
  if (++unknown_depth_ > kMaxHeaderDepth) fail(FileRule::kTooDeep);
}

void SafetensorsHeaderReader::count_key() {
  if (++keys_ > kMaxHeaderKeys) fail(FileRule::kTooManyKeys);
}

void SafetensorsHeaderReader::fail(FileRule rule, std::string detail) const {
  CheckpointFault fault(rule, path_);
  fault.tensor = std::string(name_);
  fault.position = stream_.position();
  fault.detail = std::move(detail);
  throw fault;
}

void SafetensorsHeaderReader::fail_value() const {
  switch (place_) {
    case Place::kRoot:
    case Place::kEntry:
      fail(FileRule::kEntryNotObject);
    case Place::kMetadata:
    case Place::kMetadataValue:
      fail(FileRule::kMetadataNotStrings);
    case Place::kField:
      break;
  }
  fail(FileRule::kFieldType, field_ == Field::kDType   ? "dtype"
                             : field_ == Field::kShape ? "shape"
                                                       : "data_offsets");
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/checkpoint_fault.h"

namespace quarrow {

std::string_view name_of(FileRule rule) noexcept {
  switch (rule) {
    case FileRule::kEmptyFile:
      return "empty_file";
    case FileRule::kLfsPointer:
      return "lfs_pointer";
    case FileRule::kHtml:
      return "html";
    case FileRule::kPickle:
      return "pickle";
    case FileRule::kZip:
      return "zip";
    case FileRule::kZeros:
      return "zeros";
    case FileRule::kGguf:
      return "gguf";
    case FileRule::kJson:
      return "json";
    case FileRule::kFolder:
      return "folder";
    case FileRule::kDevice:
      return "device";
    case FileRule::kLengthTruncated:
      return "length_truncated";
    case FileRule::kHeaderEmpty:
      return "header_empty";
    case FileRule::kHeaderTooLarge:
      return "header_too_large";
    case FileRule::kHeaderPastEnd:
      return "header_past_end";
    case FileRule::kHeaderStart:
      return "header_start";
    case FileRule::kHeaderNul:
      return "header_nul";
    case FileRule::kInvalidUtf8:
      return "invalid_utf8";
    case FileRule::kInvalidJson:
      return "invalid_json";
    case FileRule::kTooDeep:
      return "too_deep";
    case FileRule::kDuplicateKey:
      return "duplicate_key";
    case FileRule::kMetadataNotStrings:
      return "metadata_not_strings";
    case FileRule::kEntryNotObject:
      return "entry_not_object";
    case FileRule::kMissingField:
      return "missing_field";
    case FileRule::kFieldType:
      return "field_type";
    case FileRule::kUnknownDType:
      return "unknown_dtype";
    case FileRule::kTooManyDimensions:
      return "too_many_dimensions";
    case FileRule::kTooManyKeys:
      return "too_many_keys";
    case FileRule::kShapeOverflow:
      return "shape_overflow";
    case FileRule::kPartialByte:
      return "partial_byte";
    case FileRule::kOffsetsReversed:
      return "offsets_reversed";
    case FileRule::kOffsetsPastEnd:
      return "offsets_past_end";
    case FileRule::kSizeMismatch:
      return "size_mismatch";
    case FileRule::kOverlap:
      return "overlap";
    case FileRule::kHole:
      return "hole";
    case FileRule::kTrailingBytes:
      return "trailing_bytes";
    case FileRule::kIndexMap:
      return "index_map";
    case FileRule::kShardName:
      return "shard_name";
    case FileRule::kShardMissing:
      return "shard_missing";
    case FileRule::kTensorMissing:
      return "tensor_missing";
    case FileRule::kMetadataConflict:
      return "metadata_conflict";
    case FileRule::kTensorDimensions:
      return "tensor_dimensions";
    case FileRule::kLayerIncomplete:
      return "layer_incomplete";
    case FileRule::kLayerDType:
      return "layer_dtype";
    case FileRule::kLayerShape:
      return "layer_shape";
    case FileRule::kLayerDescription:
      return "layer_description";
    case FileRule::kLayerName:
      return "layer_name";
    case FileRule::kShrank:
      return "shrank";
    case FileRule::kChanged:
      return "changed";
  }
  return "unknown";
}

}  // namespace quarrow

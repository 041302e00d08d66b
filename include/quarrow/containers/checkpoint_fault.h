// SPDX-License-Identifier: Apache-2.0
//
// What is wrong with a checkpoint file, or with the paths of a job. The containers state facts; the
// words that a person reads are made by the caller (bindings/file_errors.cpp for Python). What the
// operating system refuses is a std::filesystem::filesystem_error with the path of the user's file.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace quarrow {

// One rule that a file broke.
enum class FileRule : std::uint8_t {
  // It is something else.
  kEmptyFile,
  kLfsPointer,
  kHtml,
  kPickle,
  kZip,
  kZeros,
  kGguf,
  kJson,
  kFolder,
  kDevice,  // a device, pipe or socket
  // The header's frame.
  kLengthTruncated,  // fewer than the 8 bytes of the header length
  kHeaderEmpty,
  kHeaderTooLarge,
  kHeaderPastEnd,
  kHeaderStart,  // the first byte is not '{'
  kHeaderNul,    // a NUL byte, usually as padding
  // The header's JSON.
  kInvalidUtf8,
  kInvalidJson,
  kTooDeep,
  kDuplicateKey,
  kMetadataNotStrings,
  kEntryNotObject,
  kMissingField,
  kFieldType,
  kUnknownDType,
  kTooManyDimensions,
  kTooManyKeys,  // of metadata and unknown fields
  // The header of a GGUF file.
  kGgufVersion,    // (detail: which)
  kGgufByteOrder,  // that of other processors
  kCountPastEnd,   // of more than the rest of the file can hold (detail: of what)
  kValueType,      // no value has this type (detail: its number)
  kNestedList,
  kBoolValue,   // neither 0 nor 1
  kAlignment,   // "general.alignment" is no power of two of the type u32
  kTensorName,  // empty, with a NUL byte, or longer than 65,535 bytes
  // What the header says about the data.
  kShapeOverflow,
  kPartialByte,   // the elements do not fill whole bytes
  kPartialBlock,  // a row does not fill whole blocks (detail: the dtype)
  kMisaligned,    // the data does not begin at a multiple of the alignment
  kOffsetsReversed,
  kOffsetsPastEnd,
  kSizeMismatch,
  kOverlap,
  kHole,
  kTrailingBytes,
  // An index and its shards.
  kIndexMap,          // no "weight_map" of strings
  kShardName,         // a file name with a path in it
  kShardMissing,      // a file that the index names does not exist
  kTensorMissing,     // the index names a shard for it that does not have it (detail: which)
  kMetadataConflict,  // shards have different values of a key that describes layers (detail: the
                      // key)
  // A tensor that is to be read, converted or restored.
  kTensorDimensions,  // more than kMaxDimensions (detail: how many)
  // The entries of a quantized layer.
  kLayerIncomplete,   // one is missing (detail: its name)
  kLayerDType,        // one has another dtype than the layout's
  kLayerShape,        // their shapes do not fit each other
  kLayerDescription,  // what describes it cannot be understood
  kLayerName,         // another tensor has the name that it had before it was quantized
  // It changed while it was read.
  kShrank,
  kChanged,
};

// The rule's name for programs, such as "duplicate_key". Never changes.
std::string_view name_of(FileRule rule) noexcept;

// A damaged, hostile or foreign file.
class CheckpointFault : public std::exception {
 public:
  FileRule rule;
  std::string path;
  std::string tensor;                     // empty: the rule is not about one tensor
  std::optional<std::uint64_t> position;  // bytes from the start of the file
  std::string detail;                     // the key, field, dtype or parser message in question

  CheckpointFault(FileRule broken, std::string file) noexcept
      : rule(broken), path(std::move(file)) {}
  const char* what() const noexcept override { return name_of(rule).data(); }
};

// One way in which the destination of a job cannot be what the caller named.
enum class PathRule : std::uint8_t {
  kSameFile,        // source and destination are one file, perhaps by a link
  kFolder,          // the destination is a folder
  kNotRegular,      // the destination is a device, pipe or socket
  kOtherFormat,     // the name's ending says that it was of another format
  kBeingWritten,    // another job writes the same destination
  kSetClaimed,      // so says this file beside it, where no lock tells whether that job still lives
  kTemporaryLost,   // another program removed or replaced the unfinished file beside it
  kHeaderTooLarge,  // the header would be longer, or have more, than readers accept
  kIndexTooLarge,   // the same of the index of several files
};

class PathFault : public std::exception {
 public:
  PathRule rule;
  std::string path;

  PathFault(PathRule broken, std::string file) noexcept : rule(broken), path(std::move(file)) {}
  const char* what() const noexcept override { return "quarrow::PathFault"; }
};

}  // namespace quarrow

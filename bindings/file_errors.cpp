// SPDX-License-Identifier: Apache-2.0
#include "file_errors.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <cstdint>
#include <vector>

#include "open_checkpoint.h"
#include "quarrow/core/tensor_view.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace quarrow::python {
namespace {

// A path as Python sees it, undecodable bytes as surrogates.
nb::object path_object(const std::string& path) {
  return nb::steal(
      PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size())));
}

std::string path_text(const std::string& path) { return nb::repr(path_object(path)).c_str(); }

// Names may hold anything: shown as Python writes a str.
std::string quoted(const std::string& text) { return short_repr(text_of_bytes(text)); }

// What the rule says of this file, and the remedy where there is one.
std::string text_of(const CheckpointFault& fault) {
  const std::string download = "; it was cut short or damaged: download or copy it again";
  const std::string broken =
      "; the file is damaged or was written wrongly: get it or write it again";
  const std::string other =
      "; this is neither a safetensors nor a GGUF file, and only those can be read";
  const std::string retry = "; run the job again when nothing else writes to it";
  const std::string mixed = "; the files are not of one set: download or copy all of them again";
  const std::string again = "; the file was damaged or written wrongly: quantize the model again";
  switch (fault.rule) {
    case FileRule::kEmptyFile:
      return "the file is empty" + download;
    case FileRule::kLfsPointer:
      return "this is a Git LFS pointer, not the model itself; run 'git lfs pull' in the "
             "repository";
    case FileRule::kHtml:
      return "this is a web page, not a model: the download led to an error or login page; "
             "download "
             "the file itself";
    case FileRule::kPickle:
      return "this is a Python pickle (.pt, .bin, .ckpt), which can run code when loaded; convert "
             "it "
             "to safetensors";
    case FileRule::kZip:
      return "this is a zip archive, probably a PyTorch checkpoint (.pt, .ckpt); convert it to "
             "safetensors";
    case FileRule::kZeros:
      return "the file starts with zeros: a download that was never completed; download it again";
    case FileRule::kGguf:
      return "this is a GGUF file, and an index lists safetensors files: name the GGUF file "
             "itself, "
             "or download the shards again";
    case FileRule::kJson:
      return "this is a JSON file; name the .safetensors file itself (an index lists its shards)";
    case FileRule::kFolder:
      return "this is a folder; name a file in it";
    case FileRule::kDevice:
      return "this is a device, a pipe or a socket; only regular files can be read";
    case FileRule::kLengthTruncated:
      return "the file is shorter than the 8 bytes of a header length" + download;
    case FileRule::kHeaderEmpty:
      return "the header length is 0" + other;
    case FileRule::kHeaderTooLarge:
      return "the header would be longer than 100 MB, which is not read; the file is damaged, or "
             "no file that can be read";
    case FileRule::kHeaderPastEnd:
      return "the header ends past the end of the file" + download;
    case FileRule::kHeaderStart:
      return "the header does not start with '{'" + other;
    case FileRule::kHeaderNul:
      return "the header has a NUL byte; padding must be spaces" + broken;
    case FileRule::kInvalidUtf8:
      return "the header is not UTF-8" + broken;
    case FileRule::kInvalidJson:
      return "the header is not valid JSON: " + quoted(fault.detail) + broken;
    case FileRule::kTooDeep:
      return "the header is nested too deeply" + broken;
    case FileRule::kDuplicateKey:
      return "the header has the key " + quoted(fault.detail) + " twice" + broken;
    case FileRule::kMetadataNotStrings:
      return "'__metadata__' must map strings to strings" + broken;
    case FileRule::kEntryNotObject:
      return "the tensor's entry in the header is not an object" + broken;
    case FileRule::kMissingField:
      return "the tensor's entry has no '" + fault.detail + "'" + broken;
    case FileRule::kFieldType:
      return "'" + fault.detail + "' of the tensor's entry has a value of the wrong type" + broken;
    case FileRule::kUnknownDType:
      return "the dtype " + quoted(fault.detail) +
             " is unknown; the file is damaged, or of a newer kind than this version can read";
    case FileRule::kTooManyDimensions:
      return "the shapes in the header have more than 4 million dimensions" + broken;
    case FileRule::kTooManyKeys:
      return "the header or an index has more keys or tensors than are read" + broken;
    case FileRule::kGgufVersion:
      return "this is GGUF of version " + fault.detail +
             ", and 2 and 3 can be read; convert it again with a newer program";
    case FileRule::kGgufByteOrder:
      return "this is GGUF for big-endian processors, and only little-endian files can be read; "
             "convert it with gguf-py's gguf_convert_endian";
    case FileRule::kCountPastEnd:
      return "the header announces more " + fault.detail + " than the rest of the file can hold" +
             download;
    case FileRule::kValueType:
      return "a value of the metadata has the unknown type " + fault.detail +
             "; the file is damaged, or of a newer kind than this version can read";
    case FileRule::kNestedList:
      return "the metadata has a list of lists, which ggml does not read either" + broken;
    case FileRule::kBoolValue:
      return "a bool of the metadata is neither 0 nor 1" + broken;
    case FileRule::kAlignment:
      return "'general.alignment' is no power of two as an unsigned integer of 32 bits" + broken;
    case FileRule::kTensorName:
      return "a tensor's name is empty, has a NUL byte, or is longer than 65,535 bytes" + broken;
    case FileRule::kShapeOverflow:
      return "the product of the shape overflows 63 bits" + broken;
    case FileRule::kPartialByte:
      return "the elements do not fill whole bytes" + broken;
    case FileRule::kPartialBlock:
      return "a row of " + fault.detail + " is not a whole number of its blocks" + broken;
    case FileRule::kMisaligned:
      return "the data does not begin at a multiple of the file's alignment" + broken;
    case FileRule::kOffsetsReversed:
      return "the data ends before it begins" + broken;
    case FileRule::kOffsetsPastEnd:
      return "the data ends past the end of the file" + download;
    case FileRule::kSizeMismatch:
      return "the data is not as long as shape and dtype say" + broken;
    case FileRule::kOverlap:
      return "the data overlaps another tensor's" + broken;
    case FileRule::kHole:
      return "there are bytes before the data that belong to no tensor" + broken;
    case FileRule::kTrailingBytes:
      return "there are bytes after the last tensor" + broken;
    case FileRule::kIndexMap:
      return "the index has no 'weight_map' of tensor and file names" + broken;
    case FileRule::kShardName:
      return "the index names the file " + quoted(fault.detail) +
             ", which is no plain name of a file beside it" + broken;
    case FileRule::kShardMissing:
      return "the index names the file " + quoted(fault.detail) +
             ", which is not beside it: download or copy it too";
    case FileRule::kTensorMissing:
      return "the index says that this tensor is in " + quoted(fault.detail) +
             ", which does not have it" + mixed;
    case FileRule::kMetadataConflict:
      return "the metadata key " + quoted(fault.detail) +
             ", which describes quantized layers, has different values in the shards" + mixed;
    case FileRule::kTensorDimensions:
      return "it has " + fault.detail + " dimensions, and at most " +
             std::to_string(kMaxDimensions) +
             " can be read, converted or restored: only a copy can be made of it; write it again "
             "with fewer";
    case FileRule::kLayerIncomplete:
      return "the quantized layer has no " + quoted(fault.detail) + again;
    case FileRule::kLayerDType:
      return "this part of a quantized layer has the wrong dtype: " + fault.detail + again;
    case FileRule::kLayerShape:
      return "this part of a quantized layer does not fit the others: " + fault.detail + again;
    case FileRule::kLayerDescription:
      return "what describes quantized layers cannot be understood: " + quoted(fault.detail) +
             again;
    case FileRule::kLayerName:
      return "a quantized layer and another tensor both have this name" + again;
    case FileRule::kShrank:
      return "the file became shorter while it was read" + retry;
    case FileRule::kChanged:
      return "the file was changed while it was read" + retry;
  }
  return "the file is damaged";
}

// The remedy for a type that a container lacks: another one.
std::string other_kind(const ContainerFault& fault) {
  const auto type = element_type_from_name(fault.detail);
  for (const ContainerSpec& each : containers()) {
    if (type && each.holds(*type)) return "; name the new file " + std::string(each.ending);
  }
  return {};
}

[[noreturn]] void raise(const nb::object& exception) {
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw nb::python_error();
}

}  // namespace

void raise_checkpoint_fault(const CheckpointFault& fault) {
  std::string message = path_text(fault.path) + ": ";
  nb::object name = nb::none();
  if (!fault.tensor.empty()) {
    message += "layer " + quoted(fault.tensor) + ": ";
    name = nb::str(fault.tensor.data(), fault.tensor.size());
  }
  message += text_of(fault);
  nb::object position = nb::none();
  if (fault.position) {
    message += " (at byte " + std::to_string(*fault.position) + ")";
    position = nb::int_(*fault.position);
  }
  raise(nb::module_::import_("quarrow.exceptions")
            .attr("CheckpointError")(message, "name"_a = name, "file"_a = path_object(fault.path),
                                     "position"_a = position, "rule"_a = name_of(fault.rule)));
}

void raise_path_fault(const PathFault& fault) {
  const std::string path = path_text(fault.path);
  switch (fault.rule) {
    case PathRule::kSameFile:
      raise_invalid_input("the destination " + path +
                          " is the source itself, or one of its files; name another file");
    case PathRule::kFolder:
      raise_invalid_input("the destination " + path + " is a folder; name a file in it");
    case PathRule::kNotRegular:
      raise_invalid_input("the destination " + path +
                          " is a device, a pipe or a socket; name a regular file");
    case PathRule::kOtherFormat:
      raise_invalid_input("the destination " + path +
                          " says another format; name it .safetensors, .safetensors.index.json for "
                          "several files and their index, or .gguf (other formats are not "
                          "written)");
    case PathRule::kBeingWritten:
      raise_invalid_input("the destination " + path + " is being written by another job");
    case PathRule::kSetClaimed:
      raise_invalid_input("the file " + path +
                          " says that another job writes this checkpoint; when none does, it was "
                          "left by one that was killed: remove it, and the files whose names begin "
                          "with its own");
    case PathRule::kTemporaryLost:
      raise_invalid_input("another program removed or replaced the unfinished file beside " + path +
                          "; run the job again when none interferes");
    case PathRule::kIndexTooLarge:
      raise_invalid_input("the index " + path +
                          " would be over 100 MB, or name more than 1,048,576 tensors or 65,536 "
                          "files, which is not read back; write fewer files, or one");
    case PathRule::kHeaderTooLarge:
      break;
  }
  raise_invalid_input("the header of " + path +
                      " would be over 100 MB, or have more than 4 million dimensions or 1 million "
                      "keys, more than readers accept; write several files (max_shard_size)");
}

void raise_container_fault(const ContainerFault& fault) {
  const std::string name(name_of(fault.container));
  const nb::object tensor = text_of_bytes(fault.tensor);
  switch (fault.rule) {
    case ContainerRule::kNoType:
      raise_unsupported_format(name + " files have no type " + fault.detail + other_kind(fault),
                               tensor);
    case ContainerRule::kNoName:
      raise_invalid_input(name + " files have no such names of tensors; rename it", tensor);
    case ContainerRule::kOneFile:
      raise_invalid_input("a " + name +
                          " checkpoint is one file, and max_shard_size asks for several; leave it "
                          "out, or name the new files .safetensors");
    case ContainerRule::kQuantizedLayer:
      raise_unsupported_format("it is part of a layer quantized for others than readers of " +
                                   name + " files (" + fault.detail +
                                   "), and cannot be decoded; start from the file that is not "
                                   "quantized, or write the kind of file that it is in",
                               tensor);
    case ContainerRule::kMissingKey:
      break;
  }
  raise_invalid_input("loaders of " + name + " files ask for the metadata key '" + fault.detail +
                      "', which the source does not have; quarrow.save() takes it: metadata={'" +
                      fault.detail + "': 'flux'}, or what the model is called there");
}

void raise_layer_fault(const LayerFault& fault, const FilePlan& plan) {
  const TensorPlan& planned = plan.tensors[fault.tensor];
  const std::vector<std::int64_t> shape(planned.shape().begin(), planned.shape().end());
  std::uint64_t cols = 1;
  for (std::size_t axis = 1; axis < shape.size(); ++axis) cols *= planned.shape()[axis];
  raise_status(fault.status, {text_object(planned.name()), shape, cols});
}

void raise_os_error(const std::filesystem::filesystem_error& error) {
  const nb::object builtins = nb::module_::import_("builtins");
  const int number = error.code().value();
  raise(builtins.attr("OSError")(number, nb::module_::import_("os").attr("strerror")(number),
                                 path_object(error.path1().native())));
}

std::string_view text_of(StayReason reason) noexcept {
  switch (reason) {
    case StayReason::kNone:
      break;
    case StayReason::kRule:
      return "left by a rule";
    case StayReason::kNotFloat:
      return "not a float type";
    case StayReason::kGgmlBlock:
      return "already quantized, in blocks of ggml";
    case StayReason::kNarrowFloat:
      return "a float type of 8 bits or less, which is not quantized again; start from the file "
             "that it was made from";
    case StayReason::kAlreadyQuantized:
      return "already quantized";
    case StayReason::kNotDecoded:
      return "quantized in a way that cannot be restored yet";
    case StayReason::kConfigTaken:
      return "the file holds layers of compressed-tensors already, whose quantization_config would "
             "have to name this one too; start from the file that it was made from";
    case StayReason::kNotWeight:
      return "the name does not end in .weight";
    case StayReason::kNotMatrix:
      return "fewer than two dimensions";
    case StayReason::kConvolution:
      return "convolution, ComfyUI loads quantized linear weights only";
    case StayReason::kEmpty:
      return "no elements";
    case StayReason::kNameTaken:
      return "the file has an entry of the name that the scale or its description needs";
    case StayReason::kShortGroup:
      return "the rows do not divide into whole groups, and compressed-tensors has no short ones; "
             "choose a group_size that divides their length, or 'row'";
    case StayReason::kPartialBlock:
      return "the rows are not whole blocks of 32, as GGUF's formats need";
    case StayReason::kManyDimensions:
      return "more than 64 dimensions";
    case StayReason::kTensorScale:
      return "compressed-tensors packs no layer that has one scale; choose the group_size 'row', "
             "or a number of columns";
    case StayReason::kReshaped:
      return "its rows were cut anew for blocks, and come back in its own shape "
             "(comfy.gguf.orig_shape)";
    case StayReason::kFewRows:
      return "compressed-tensors fails to unpack the zero points of so few rows; choose symmetric "
             "codes, which have none, or int8";
    case StayReason::kNorm:
      return "norm";
    case StayReason::kEmbedding:
      return "embedding";
    case StayReason::kModelEdge:
      return "an edge of the model: input, output, or the embedding of time or conditions";
    case StayReason::kSmall:
      return "fewer than 1024 elements";
    case StayReason::kComfyControl:
      return "ComfyUI loads ControlNets and adapters without the scales of quantized layers";
    case StayReason::kComfyDiffusersNames:
      return "in diffusers' names, under which ComfyUI loads no scales of quantized layers";
    case StayReason::kComfyTextEncoder:
      return "ComfyUI loads this text encoder without the scales of quantized layers";
    case StayReason::kComfyVae:
      return "ComfyUI loads VAEs without the scales of quantized layers";
    case StayReason::kComfyOther:
      return "ComfyUI loads this part or kind of model without the scales of quantized layers";
    case StayReason::kComfyChanged:
      return "ComfyUI renames or splits this weight, and not its scale";
  }
  return "";
}

}  // namespace quarrow::python

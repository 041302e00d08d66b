// SPDX-License-Identifier: Apache-2.0
//
// How one format lies in one container: which tensors its runtime loads quantized, the entries that
// a quantized tensor becomes, and the tensor that entries were.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quarrow/containers/checkpoint.h"
#include "quarrow/containers/tensor_table.h"
#include "quarrow/layouts/dialect.h"
#include "quarrow/layouts/stored_layer.h"
#include "quarrow/quantize/format.h"

namespace quarrow {

// Whose loader decides which weights may be quantized.
enum class Runtime : std::uint8_t { kNone, kComfyUi };

// "none", "comfyui".
std::string_view name_of(Runtime runtime) noexcept;
// Nothing when there is none of that name.
std::optional<Runtime> find_runtime(std::string_view name) noexcept;

// Why a tensor stays as it is.
enum class StayReason : std::uint8_t {
  kNone,              // it is quantized
  kRule,              // a rule of the caller's says so
  kNotFloat,          // only f16, bf16, f32 and f64 are quantized
  kGgmlBlock,         // blocks of ggml, which GGUF files hold
  kNarrowFloat,       // a float type of at most 8 bits, without a scale
  kAlreadyQuantized,  // part of a quantized layer, whoever wrote it (TensorPlan::stored_as)
  kNotDecoded,        // the same where layers are to be restored
  kConfigTaken,     // the file has layers that the entry of the metadata would have to describe too
  kNotWeight,       // the name does not end in .weight
  kNotMatrix,       // fewer than two dimensions: a norm, a bias, a scale
  kConvolution,     // more than two dimensions, where the runtime loads linear weights only
  kEmpty,           // no elements
  kNameTaken,       // an entry that it would become exists
  kShortGroup,      // the last group of a row is short, which the container cannot say
  kPartialBlock,    // rows that are not whole blocks of the format
  kManyDimensions,  // more than kMaxDimensions
  kTensorScale,     // one scale for the tensor, which the container cannot say
  kReshaped,        // its shape was changed to fit blocks, and is changed back
  kFewRows,         // so few rows that the runtime fails to unpack the zero points
  // Defaults: a format that the caller chose for this tensor overrules them.
  kNorm,
  kEmbedding,
  kModelEdge,  // where data, time and conditions enter a model, and where its result leaves
  kSmall,      // fewer than kMinElements
  // ComfyUI would take the codes for the weight; a format that was chosen overrules these too.
  kComfyControl,         // of a ControlNet or a T2I adapter
  kComfyDiffusersNames,  // of a model in diffusers' names
  kComfyTextEncoder,     // of a text encoder that is not loaded quantized
  kComfyVae,
  kComfyOther,    // of another part or kind of file
  kComfyChanged,  // renamed or split while it is loaded, and its scale is not
};

// The reason's name for programs, such as "convolution". Never changes.
std::string_view name_of(StayReason reason) noexcept;

// Tensors below this save nothing.
inline constexpr std::uint64_t kMinElements = 1024;

// What is left alone in every layout unless the caller chose a format for it: norms and embeddings,
// the edges of a model, and small tensors.
StayReason default_stay_reason(const TensorEntry& tensor) noexcept;

// One entry of a quantized tensor. Everything borrowed: from the tensor, from static memory, or
// from the memory resource given to encode().
struct EncodedEntry {
  std::string_view name;
  std::span<const std::uint64_t> shape;
  ElementType dtype = ElementType::kU8;
  std::optional<Role> role;   // of the part that it holds; nothing: constant bytes
  std::string_view constant;  // these
};

// A tensor that a layout takes, and the format it gets.
struct LayerToEncode {
  const TensorEntry* tensor = nullptr;
  const Format* format = nullptr;
};

// What stands beside a tensor "L.weight", and still will in the new file.
class Neighbours {
 public:
  // `replaced`: the layer that the tensor is decoded of, whose entries go; null: there is none.
  Neighbours(const TensorTable& file, std::string_view weight, const StoredLayer* replaced) noexcept
      : file_(file), weight_(weight), replaced_(replaced) {}

  // Whether there is an entry "L" + suffix.
  bool have(std::string_view suffix) const;

 private:
  const TensorTable& file_;
  std::string_view weight_;
  const StoredLayer* replaced_;
};

// The conventions of one runtime, for all formats that it stores alike.
struct Scheme {
  // kNone when `tensor`, plain or decoded, can be encoded.
  StayReason (*stay_reason)(const TensorEntry& tensor, const Neighbours& beside,
                            const Format& format);
  // The entries in the order in which they are stored. Sizes are those of the format's encoding, a
  // matrix of shape[0] rows.
  std::vector<EncodedEntry> (*encode)(const LayerToEncode& layer,
                                      std::pmr::memory_resource& memory);
  // Adds what the file says about all its layers of this scheme; null when it says nothing.
  void (*describe)(std::span<const LayerToEncode> layers, std::pmr::memory_resource& memory,
                   TensorTable::Metadata& metadata);
  // Adds the layers of this scheme in a file. What belongs to no layer, or to one of a format that
  // the engine does not know, is left. Throws CheckpointFault (kLayer...) where entries of a layer
  // do not fit together.
  void (*decode)(const Checkpoint& file, StoredLayers& layers);
  // Whose rules hold unless the caller names others'.
  Runtime runtime = Runtime::kNone;
  // Who loads these layers; a file with those of several readers is loaded by none. Empty: anybody.
  std::string_view reader;
  // The key of the metadata that describe() adds; empty when it adds none.
  std::string_view config_key = {};
};

// One line of the registry.
struct Layout {
  std::string_view format;
  Container container;
  const Scheme* scheme;
  Storage storage;
  bool (*takes)(const Format& format) = nullptr;  // null: the format whatever its fields
};

// Every layout. A new one is a source file and a line in registry.cpp.
std::span<const Layout> layouts() noexcept;

// Null when no file of that container can carry the format.
const Layout* find_layout(const Format& format, Container container) noexcept;

// Whether the name is that of a factor of a low-rank adapter: no
// runtime loads those quantized, so that the file is an archive.
bool is_adapter_factor(std::string_view name) noexcept;

// Whether the file is an adapter by itself, all of whose weights are factors whatever their names:
// one for training scripts' prefixes, a Control-LoRA, a GLoRA.
bool is_adapter_file(const TensorTable& file);

}  // namespace quarrow

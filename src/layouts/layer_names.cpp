// SPDX-License-Identifier: Apache-2.0
#include "layouts/layer_names.h"

#include <algorithm>
#include <string>
#include <vector>

#include "layouts/model_edges.h"
#include "quarrow/layouts/layout.h"

namespace quarrow {
namespace {

// The last part of the module's name: "linear" of "norm1.linear.weight", which is a projection.
std::string_view module_of(std::string_view weight_name) noexcept {
  const std::string_view layer = layer_of(weight_name);
  const std::size_t dot = layer.rfind('.');
  return dot == std::string_view::npos ? layer : layer.substr(dot + 1);
}

bool contains(std::string_view text, std::string_view part) noexcept {
  return text.find(part) != std::string_view::npos;
}

// torch's and transformers' names, llama.cpp's "token_embd", GPT-2's "ln_1", "wte" and "wpe", T5's
// "shared" and its table of biases, which llama.cpp (attn_rel_b) and ComfyUI-GGUF leave in floats
// too.
bool is_norm(std::string_view module) noexcept {
  return contains(module, "norm") || module.starts_with("ln_");
}
bool is_embedding(std::string_view module) noexcept {
  return contains(module, "embed") || module.ends_with("_emb") || module.ends_with("_embd") ||
         module == "wte" || module == "wpe" || module == "shared" ||
         module == "relative_attention_bias";
}

}  // namespace

StayReason no_float_reason(ElementType dtype) noexcept {
  if (is_ggml_block(dtype)) return StayReason::kGgmlBlock;
  return is_narrow_float(dtype) ? StayReason::kNarrowFloat : StayReason::kNotFloat;
}

StayReason default_stay_reason(const TensorEntry& tensor) noexcept {
  if (tensor.name.ends_with(kWeightSuffix)) {
    const std::string_view module = module_of(tensor.name);
    if (is_norm(module)) return StayReason::kNorm;
    if (is_embedding(module)) return StayReason::kEmbedding;
    // Of an adapter all factors go together.
    const bool is_edge = is_model_edge(tensor.name) && !is_adapter_factor(tensor.name);
    if (is_edge) return StayReason::kModelEdge;
  }
  std::uint64_t elements = 1;
  for (const std::uint64_t dimension : tensor.shape) elements *= dimension;
  return elements < kMinElements ? StayReason::kSmall : StayReason::kNone;
}

std::string_view layer_of(std::string_view weight_name) {
  return weight_name.substr(0, weight_name.size() - kWeightSuffix.size());
}

std::string_view joined(std::string_view layer, std::string_view suffix,
                        std::pmr::memory_resource& memory) {
  return keep(std::string(layer).append(suffix), memory);
}

bool has_entry(const TensorTable& file, std::string_view layer, std::string_view suffix) {
  return file.find(std::string(layer).append(suffix)) != nullptr;
}

bool Neighbours::have(std::string_view suffix) const {
  const TensorEntry* entry = file_.find(std::string(layer_of(weight_)).append(suffix));
  if (entry == nullptr || replaced_ == nullptr) return entry != nullptr;
  bool goes = false;
  replaced_->for_each_entry([&](const TensorEntry& each) { goes = goes || &each == entry; });
  return !goes;
}

std::span<const TensorEntry* const> present(const TensorTable& file, std::string_view layer,
                                            std::span<const std::string_view> suffixes,
                                            std::pmr::memory_resource& memory) {
  std::vector<const TensorEntry*> found;
  for (const std::string_view suffix : suffixes) {
    const TensorEntry* entry = file.find(std::string(layer).append(suffix));
    if (entry != nullptr) found.push_back(entry);
  }
  return keep(found, memory);
}

std::string_view keep(std::string_view text, std::pmr::memory_resource& memory) {
  char* copy = static_cast<char*>(memory.allocate(text.size(), 1));
  text.copy(copy, text.size());
  return {copy, text.size()};
}

std::span<const std::uint64_t> keep(std::span<const std::uint64_t> shape,
                                    std::pmr::memory_resource& memory) {
  auto* copy =
      static_cast<std::uint64_t*>(memory.allocate(shape.size_bytes(), alignof(std::uint64_t)));
  std::copy(shape.begin(), shape.end(), copy);
  return {copy, shape.size()};
}

std::span<const TensorEntry* const> keep(std::span<const TensorEntry* const> entries,
                                         std::pmr::memory_resource& memory) {
  std::pmr::polymorphic_allocator<const TensorEntry*> pointers(&memory);
  const TensorEntry** const copy = pointers.allocate(entries.size());
  std::ranges::copy(entries, copy);
  return {copy, entries.size()};
}

}  // namespace quarrow

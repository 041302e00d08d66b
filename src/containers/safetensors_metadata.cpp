// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>

#include "containers/gguf_container.h"
#include "containers/safetensors_container.h"
#include "core/utf8.h"

namespace quarrow {
namespace {

std::string_view keep(const std::string& text, std::pmr::memory_resource& memory) {
  char* copy = static_cast<char*>(memory.allocate(text.size(), 1));
  std::ranges::copy(text, copy);
  return {copy, text.size()};
}

// Vocabularies are longer. In words they would take many times as many bytes, and nobody looks for
// them in safetensors.
constexpr std::size_t kLongestInWords = std::size_t{64} << 10;

bool is_held(const MetadataValue& value) { return value.is_text() && is_utf8(value.text()); }

// Numbers and lists as texts, without what was said of the bytes of the other container.
void make_texts(TensorTable::Metadata& metadata, std::pmr::memory_resource& memory) {
  std::erase_if(metadata, [](const auto& item) {
    const bool is_long = item.second.bytes().size() > kLongestInWords && !is_held(item.second);
    return is_long || item.first == kGgufAlignmentKey;
  });
  for (auto& [key, value] : metadata) {
    if (!is_held(value)) value = keep(words_of(value), memory);
  }
}

}  // namespace

void complete_safetensors_metadata(std::optional<TensorTable::Metadata>& metadata,
                                   const MetadataOrigin& origin,
                                   std::pmr::memory_resource& memory) {
  if (!metadata) return;
  if (origin.is_foreign) make_texts(*metadata, memory);
  if (metadata->empty()) {
    metadata.reset();
    return;
  }
  const auto has_format = [](const auto& item) { return item.first == "format"; };
  if (std::ranges::none_of(*metadata, has_format)) metadata->emplace_back("format", "pt");
}

}  // namespace quarrow

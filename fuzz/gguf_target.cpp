// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <variant>
#include <vector>

#include "file_promises.h"
#include "file_targets.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/container.h"
#include "quarrow/layouts/layout.h"

namespace quarrow::fuzz {
namespace {

// A copy in each container that can hold it, and one of other float types.
void check_copies(const Checkpoint& source, const StoredLayers& layers, MemoryFile& output) {
  for (const ContainerSpec& container : containers()) {
    for (const std::optional<DType> dtype : {std::optional<DType>(), std::optional(DType::kF16)}) {
      try {
        const FilePlanOptions options{.dtype = dtype, .container = container.container};
        check_planned(plan_restored(source, layers, options), output);
        check_planned(plan_converted(source, layers, options), output);
      } catch (const ContainerFault& fault) {
        require(fault.container == container.container, "a fault is the planned container's");
        require(source.container != container.container, "a copy in its own container is held");
      }
    }
  }
}

// For every format, in each container that carries it.
void check_quantized(const Checkpoint& source, const StoredLayers& layers, MemoryFile& output) {
  const std::vector<std::uint8_t> choices(source.tensors.size(), 0);
  for (const Layout& layout : layouts()) {
    const Format format = default_format(*find_format(layout.format));
    try {
      check_planned(plan_quantized(source, layers, {&format, 1}, choices,
                                   {.dtype = {}, .container = layout.container}),
                    output);
    } catch (const ContainerFault&) {
    }
  }
}

// Each value is whole: its words ask for every byte of it.
void check_values(const Checkpoint& source) {
  if (!source.tensors.metadata()) return;
  for (const auto& [key, value] : *source.tensors.metadata()) {
    require(!words_of(value).empty() || value.bytes().empty(), "a value has words");
  }
}

}  // namespace

std::string_view run_gguf(std::span<const std::uint8_t> bytes) {
  static MemoryFile input("input");
  static MemoryFile output("output");
  input.fill(bytes);
  try {
    const Checkpoint source = open_checkpoint(input.path(), Io::kRead);
    check_opened(source);
    check_values(source);
    const StoredLayers layers = find_stored_layers(source);
    check_copies(source, layers, output);
    check_quantized(source, layers, output);
  } catch (const CheckpointFault& fault) {
    return name_of(fault.rule);
  }
  return kValid;
}

}  // namespace quarrow::fuzz

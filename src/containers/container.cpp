// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/container.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>

#include "containers/gguf_container.h"
#include "containers/safetensors_container.h"
#include "quarrow/containers/header_limits.h"

namespace quarrow {
namespace {

bool any_name(std::string_view) noexcept { return true; }
ElementType as_it_is(const TensorEntry& tensor) noexcept { return tensor.dtype; }

constexpr std::array kContainers = {
    ContainerSpec{.container = Container::kSafetensors,
                  .name = "safetensors",
                  .ending = ".safetensors",
                  .first_bytes = {},
                  .most_header_bytes = sizeof(std::uint64_t) + kMaxHeaderBytes,
                  .most_tensors = std::numeric_limits<std::size_t>::max(),
                  .in_shards = true,
                  .open = read_safetensors,
                  .holds = is_in_safetensors,
                  .takes_name = any_name,
                  .kept_as = as_it_is,
                  .place = place_safetensors,
                  .write_header = write_safetensors_header,
                  .complete = complete_safetensors_metadata},
    ContainerSpec{.container = Container::kGguf,
                  .name = "gguf",
                  .ending = ".gguf",
                  .first_bytes = kGgufMagic,
                  .most_header_bytes = kMaxHeaderBytes,
                  .most_tensors = kMaxGgufTensors,
                  .in_shards = false,
                  .open = read_gguf,
                  .holds = is_in_gguf,
                  .takes_name = is_gguf_name,
                  .kept_as = kept_in_gguf,
                  .place = place_gguf,
                  .write_header = write_gguf_header,
                  .complete = complete_gguf_metadata},
};

constexpr bool indexed_by_value() {
  for (std::size_t index = 0; index < kContainers.size(); ++index) {
    if (static_cast<std::size_t>(kContainers[index].container) != index) return false;
  }
  return true;
}
static_assert(indexed_by_value());

}  // namespace

std::span<const ContainerSpec> containers() noexcept { return kContainers; }

const ContainerSpec& spec_of(Container container) noexcept {
  return kContainers[static_cast<std::size_t>(container)];
}

const ContainerSpec& container_of(std::string_view first_bytes) noexcept {
  const auto known = std::ranges::find_if(kContainers, [&](const ContainerSpec& each) {
    return !each.first_bytes.empty() && first_bytes.starts_with(each.first_bytes);
  });
  return known == kContainers.end() ? spec_of(Container::kSafetensors) : *known;
}

std::optional<Container> container_of_name(std::string_view path) {
  const auto ends_so = [&](const ContainerSpec& each) {
    if (path.size() < each.ending.size()) return false;
    return std::ranges::equal(path.substr(path.size() - each.ending.size()), each.ending, {},
                              [](unsigned char letter) { return std::tolower(letter); });
  };
  const auto found = std::ranges::find_if(kContainers, ends_so);
  if (found == kContainers.end()) return std::nullopt;
  return found->container;
}

std::string_view name_of(Container container) noexcept { return spec_of(container).name; }

std::optional<Container> find_container(std::string_view name) noexcept {
  const auto found = std::ranges::find(kContainers, name, &ContainerSpec::name);
  if (found == kContainers.end()) return std::nullopt;
  return found->container;
}

}  // namespace quarrow

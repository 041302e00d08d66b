// SPDX-License-Identifier: Apache-2.0
#include "header_mutation.h"

#include <array>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "quarrow/containers/tensor_table.h"

namespace quarrow::fuzz {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 9> kSuffixes = {
    ".weight",      ".weight_scale", ".weight_packed", ".weight_zero_point", ".weight_shape",
    ".comfy_quant", ".scale_weight", ".bias",          ".lora_A.weight"};
constexpr std::array<std::uint64_t, 8> kDimensions = {0, 1, 2, 3, 8, 33, 128, 1ULL << 32};

template <typename Values>
auto one_of(const Values& values, std::minstd_rand& random) {
  return values[random() % std::size(values)];
}

bool is_shape(const Json& shape) {
  if (!shape.is_array()) return false;
  for (const Json& dimension : shape) {
    if (!dimension.is_number_unsigned()) return false;
  }
  return true;
}

bool is_entry(const Json& entry) {
  return entry.is_object() && entry.contains("dtype") && entry["dtype"].is_string() &&
         entry.contains("shape") && is_shape(entry["shape"]);
}

ElementType random_dtype(std::minstd_rand& random) {
  constexpr auto kDTypes = static_cast<unsigned>(ElementType::kF4) + 1;
  return static_cast<ElementType>(random() % kDTypes);
}

void change_one_tensor(Json& header, std::minstd_rand& random) {
  if (header.empty()) return;
  const auto place =
      std::next(header.begin(), static_cast<std::ptrdiff_t>(random() % header.size()));
  Json entry = *place;
  if (!is_entry(entry)) return;
  Json& shape = entry["shape"];
  switch (random() % 6) {
    case 0:
      entry["dtype"] = name_of(random_dtype(random));
      break;
    case 1:
      if (!shape.empty()) shape[random() % shape.size()] = one_of(kDimensions, random);
      break;
    case 2:
      if (shape.size() < 5) shape.push_back(one_of(kDimensions, random));
      break;
    case 3:
      if (!shape.empty()) shape.erase(shape.size() - 1);
      break;
    default: {
      // Another tensor with the same layer's name, or a name of its own.
      std::string name = place.key();
      name = name.substr(0, name.find('.')) + std::string(one_of(kSuffixes, random));
      header[name] = entry;
      return;
    }
  }
  *place = entry;
}

}  // namespace

std::optional<MutatedHeader> mutate_header(std::string_view header, std::uint64_t most_data_bytes,
                                           unsigned seed) {
  Json json = Json::parse(header, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  std::minstd_rand random(seed);
  change_one_tensor(json, random);
  MutatedHeader mutated;
  for (Json& entry : json) {
    if (!is_entry(entry)) continue;
    const auto dtype = element_type_from_name(entry["dtype"].get_ref<const std::string&>());
    if (!dtype) continue;
    bool partial_byte = false;
    const auto bytes =
        tensor_bytes(*dtype, entry["shape"].get<std::vector<std::uint64_t>>(), partial_byte);
    if (!bytes) continue;
    if (*bytes > most_data_bytes - mutated.data_bytes) return std::nullopt;
    entry["data_offsets"] = {mutated.data_bytes, mutated.data_bytes + *bytes};
    mutated.data_bytes += *bytes;
  }
  mutated.json = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return mutated;
}

}  // namespace quarrow::fuzz

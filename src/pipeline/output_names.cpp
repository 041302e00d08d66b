// SPDX-License-Identifier: Apache-2.0
//
// How the files of a new checkpoint are called, by what the caller named its destination.
#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/container.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow {
namespace {

constexpr std::string_view kIndex = ".index";
constexpr std::string_view kJson = ".json";

// By these, loaders take a file for something that it would not be.
constexpr std::array<std::string_view, 12> kOtherFormats = {".ggml", ".bin", ".ckpt",    ".pt",
                                                            ".pth",  ".pkl", ".onnx",    ".npz",
                                                            ".npy",  ".h5",  ".msgpack", ".json"};

// What diffusers and transformers look for: for these names alone is the part before the ending
// known to be a variant, and not a part of the name ("flux1.1").
constexpr std::array<std::string_view, 2> kModelNames = {"diffusion_pytorch_model", "model"};

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char letter) { return std::tolower(letter); });
  return result;
}

// Takes the ending away.
bool cut(std::string_view& text, std::string_view ending) {
  if (!text.ends_with(ending)) return false;
  text.remove_suffix(ending.size());
  return true;
}

struct IndexName {
  std::string stem;   // of the shards, the variant included
  std::string index;  // the whole path
};

// Of a destination that is named as an index of files with that ending; the stem is empty when it
// is not.
IndexName index_name(const std::string& destination, std::string_view ending) {
  std::string_view rest = destination;
  if (!cut(rest, kJson)) return {};
  std::string_view variant;
  if (!cut(rest, kIndex)) {
    const std::size_t dot = rest.rfind('.');
    if (dot == std::string_view::npos) return {};
    variant = rest.substr(dot);
    rest = rest.substr(0, dot);
    if (variant.size() < 2 || variant.find('/') != std::string_view::npos || !cut(rest, kIndex)) {
      return {};
    }
  }
  cut(rest, ending);
  if (rest.empty() || rest.ends_with('/')) return {};
  return {std::string(rest).append(variant), destination};
}

// Of a destination that is named as a file.
IndexName index_of_file(const std::string& destination, std::string_view ending) {
  std::string_view stem = destination;
  cut(stem, ending);
  const std::string_view name = stem.substr(stem.rfind('/') + 1);
  for (const std::string_view model : kModelNames) {
    const bool has_variant =
        name.starts_with(model) && name.size() > model.size() + 1 && name[model.size()] == '.';
    if (!has_variant) continue;
    const std::string_view variant = name.substr(model.size());
    std::string index(stem.substr(0, stem.size() - variant.size()));
    index.append(ending).append(kIndex).append(variant).append(kJson);
    return {std::string(stem), std::move(index)};
  }
  return {std::string(stem), std::string(stem).append(ending).append(kIndex).append(kJson)};
}

std::string shard_tail(std::size_t number, std::size_t count) {
  char text[48];
  std::snprintf(text, sizeof(text), "-%05zu-of-%05zu", number, count);
  return text;
}

}  // namespace

std::vector<std::string> shard_paths(const std::string& destination, std::size_t outputs,
                                     Container container) {
  const ContainerSpec& spec = spec_of(container);
  IndexName names;
  if (spec.in_shards) names = index_name(destination, spec.ending);
  if (names.stem.empty()) {
    const std::string name = lower(destination);
    const auto ends = [&](std::string_view ending) { return name.ends_with(ending); };
    if (std::ranges::any_of(kOtherFormats, ends) ||
        container_of_name(destination).value_or(container) != container) {
      throw PathFault(PathRule::kOtherFormat, destination);
    }
    if (outputs == 1) return {destination};
    names = index_of_file(destination, spec.ending);
  }
  std::vector<std::string> paths;
  for (std::size_t number = 1; number <= outputs; ++number) {
    paths.push_back(names.stem + shard_tail(number, outputs) + std::string(spec.ending));
  }
  paths.push_back(names.index);
  return paths;
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
//
// corpus_test FOLDER: every file of FOLDER/TARGET through that fuzz target. The name of a file, up
// to the first '-' or '.', is what must come of it: "valid", or the name of the rule that it
// breaks. Of a file called "found" any result is right: it is there because it once crashed.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "file_targets.h"
#include "quarrow/containers/checkpoint_fault.h"

namespace {

using quarrow::FileRule;

// Rules that a small file's bytes cannot break; they have tests of their own.
constexpr FileRule kNotInCorpus[] = {FileRule::kGguf,          FileRule::kFolder,
                                     FileRule::kDevice,        FileRule::kTooManyDimensions,
                                     FileRule::kTooManyKeys,   FileRule::kIndexMap,
                                     FileRule::kShardName,     FileRule::kShardMissing,
                                     FileRule::kTensorMissing, FileRule::kMetadataConflict,
                                     FileRule::kShrank,        FileRule::kChanged};

std::vector<std::uint8_t> read(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

int count_rules_without_a_file(const std::set<std::string>& seen) {
  int missing = 0;
  for (std::uint8_t value = 0;; ++value) {
    const auto rule = static_cast<FileRule>(value);
    const std::string name(quarrow::name_of(rule));
    if (name == "unknown") return missing;
    if (seen.contains(name) || std::ranges::find(kNotInCorpus, rule) != std::end(kNotInCorpus)) {
      continue;
    }
    std::fprintf(stderr, "no file of the corpus breaks the rule %s\n", name.c_str());
    ++missing;
  }
}

using Target = std::string_view (*)(std::span<const std::uint8_t>);

int count_failures(const std::filesystem::path& folder, Target target,
                   std::set<std::string>& seen) {
  int failures = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    const std::string name = file.path().filename().string();
    const std::string expected = name.substr(0, name.find_first_of("-."));
    const std::string result(target(read(file.path())));
    seen.insert(result);
    if (result == expected || expected == "found") continue;
    std::fprintf(stderr, "%s: %s\n", file.path().c_str(), result.c_str());
    ++failures;
  }
  return failures;
}

}  // namespace

int main(int argument_count, char** arguments) {
  if (argument_count != 2) return 2;
  const std::filesystem::path corpus = arguments[1];
  std::set<std::string> seen;
  int failures = count_failures(corpus / "safetensors", quarrow::fuzz::run_safetensors, seen);
  failures += count_failures(corpus / "gguf", quarrow::fuzz::run_gguf, seen);
  failures += count_rules_without_a_file(seen);
  return failures == 0 ? 0 : 1;
}

// SPDX-License-Identifier: Apache-2.0
#include "containers/temporary_name.h"

#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

#include <algorithm>
#include <atomic>
#include <charconv>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace quarrow {
namespace {

constexpr std::string_view kMark = ".quarrow-";
constexpr std::string_view kEnd = ".tmp";
constexpr std::size_t kMaxNameBytes = 255;

bool is_hex(char letter) noexcept {
  return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f');
}

}  // namespace

PathParts split_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

std::string absolute_path(const std::string& path) {
  if (path.starts_with('/')) return path;
  char folder[PATH_MAX];
  const bool fits = ::getcwd(folder, sizeof(folder)) != nullptr &&
                    std::strlen(folder) + 1 + path.size() < sizeof(folder);
  return fits ? std::string(folder) + "/" + path : path;
}

std::string hidden_name(std::string_view name, std::string_view tail) {
  return "." + std::string(name.substr(0, kMaxNameBytes - 1 - tail.size())) + std::string(tail);
}

std::string temporary_name(std::string_view name) {
  // Containers that share a folder number their processes alike. Where the system has no random
  // numbers, a name that is taken is followed by another.
  static std::atomic<std::uint64_t> count{0};
  std::uint64_t random = 0;
  static_cast<void>(::getentropy(&random, sizeof(random)));
  random += count.fetch_add(1, std::memory_order_relaxed);
  char tail[64];
  std::snprintf(tail, sizeof(tail), "%s%jd-%016jx%s", kMark.data(),
                static_cast<std::intmax_t>(::getpid()), static_cast<std::uintmax_t>(random),
                kEnd.data());
  return hidden_name(name, tail);
}

std::optional<pid_t> temporary_owner(std::string_view file_name) noexcept {
  if (!file_name.starts_with('.') || !file_name.ends_with(kEnd)) return std::nullopt;
  file_name.remove_suffix(kEnd.size());
  const std::size_t mark = file_name.rfind(kMark);
  if (mark == std::string_view::npos || mark < 2) return std::nullopt;
  const char* const first = file_name.data() + mark + kMark.size();
  const char* const end = file_name.data() + file_name.size();
  pid_t owner = 0;
  const auto [rest, error] = std::from_chars(first, end, owner);
  if (error != std::errc{} || owner <= 0) return std::nullopt;
  // Earlier builds wrote the number alone.
  if (rest == end) return owner;
  if (*rest != '-' || rest + 1 == end || !std::all_of(rest + 1, end, is_hex)) return std::nullopt;
  return owner;
}

}  // namespace quarrow

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "file_targets.h"
#include "header_mutation.h"

namespace {

constexpr std::size_t kLengthBytes = 8;

std::size_t header_length(const std::uint8_t* file, std::size_t size) {
  std::uint64_t length = 0;
  for (std::size_t index = kLengthBytes; index-- > 0;) length = length << 8 | file[index];
  return static_cast<std::size_t>(std::min<std::uint64_t>(length, size - kLengthBytes));
}

// Writes the file of that header and as much of the data as it calls for; zeros after its end.
std::size_t assemble(std::uint8_t* file, std::string_view header, const std::vector<char>& data,
                     std::size_t data_bytes) {
  for (std::size_t index = 0; index < kLengthBytes; ++index) {
    file[index] = static_cast<std::uint8_t>(header.size() >> (8 * index));
  }
  std::uint8_t* end = std::copy(header.begin(), header.end(), file + kLengthBytes);
  end = std::copy_n(data.begin(), std::min(data.size(), data_bytes), end);
  std::fill_n(end, data_bytes - std::min(data.size(), data_bytes), std::uint8_t{0});
  return kLengthBytes + header.size() + data_bytes;
}

}  // namespace

// libFuzzer's own.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t limit);

// A header that grows or shrinks by one character no longer has the length in front of it, and
// nothing behind that check would be reached. So of eight changes four go to the header alone and
// put its length right, three are such that the file stays one, and one goes to plain bytes.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* file, std::size_t size,
                                               std::size_t limit, unsigned seed) {
  const unsigned kind = seed % 8;
  if (size <= kLengthBytes || kind == 0) return LLVMFuzzerMutate(file, size, limit);
  const std::size_t length = header_length(file, size);
  const std::vector<char> data(file + kLengthBytes + length, file + size);
  std::string header(file + kLengthBytes, file + kLengthBytes + length);
  if (kind <= 3) {
    const auto mutated = quarrow::fuzz::mutate_header(header, limit, seed / 8);
    if (mutated && mutated->json.size() + mutated->data_bytes + kLengthBytes <= limit) {
      return assemble(file, mutated->json, data, static_cast<std::size_t>(mutated->data_bytes));
    }
  }
  header.resize(limit - kLengthBytes - data.size());
  header.resize(
      LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(header.data()), length, header.size()));
  return assemble(file, header, data, data.size());
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  quarrow::fuzz::run_safetensors({data, size});
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "file_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  quarrow::fuzz::run_gguf({data, size});
  return 0;
}

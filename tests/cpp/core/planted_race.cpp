// SPDX-License-Identifier: Apache-2.0
//
// A race on purpose: ThreadSanitizer must report it, or its silence about the rest says nothing.
#include <cstdio>

#include "quarrow/core/executor.h"

int main() {
  int unguarded = 0;
  const auto race = [&unguarded](std::size_t, std::size_t) { ++unguarded; };
  quarrow::plain_executor().run(10'000, 4, race, nullptr);
  std::printf("%d\n", unguarded);
}

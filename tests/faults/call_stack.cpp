// SPDX-License-Identifier: Apache-2.0
#include "call_stack.h"

#include <execinfo.h>
#include <link.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace quarrow::faults {
namespace {

enum class Owner {
  kOurs,      // the module under test
  kServant,   // works for whoever calls it
  kStranger,  // the interpreter, another package
};

struct Module {
  std::uintptr_t begin;
  std::uintptr_t end;
  Owner owner;
};

struct KnownName {
  std::string_view part;  // of the path
  Owner owner;
};

constexpr KnownName kKnownNames[] = {
    {"/quarrow/_core.", Owner::kOurs},  {"quarrow_planted", Owner::kOurs},
    {"/libstdc++.so", Owner::kServant}, {"quarrow_fault_injector", Owner::kServant},
    {"/libc.so", Owner::kServant},      {"/libgcc_s.so", Owner::kServant},
    {"/ld-linux", Owner::kServant},
};
constexpr std::size_t kMostModules = 64;

Module modules[kMostModules];
std::size_t module_count = 0;

int add_module(dl_phdr_info* info, std::size_t, void*) {
  const std::string_view path = info->dlpi_name == nullptr ? "" : info->dlpi_name;
  const auto* const known = std::ranges::find_if(
      kKnownNames, [&](const KnownName& name) { return path.find(name.part) != path.npos; });
  if (known == std::end(kKnownNames)) return 0;
  for (int i = 0; i < info->dlpi_phnum && module_count < kMostModules; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    const std::uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
    modules[module_count++] = {begin, begin + segment.p_memsz, known->owner};
  }
  return 0;
}

Owner owner_of(void* frame) {
  const auto address = reinterpret_cast<std::uintptr_t>(frame);
  for (std::size_t i = 0; i < module_count; ++i) {
    if (address >= modules[i].begin && address < modules[i].end) return modules[i].owner;
  }
  return Owner::kStranger;
}

struct Walk {
  void** frames;
  std::size_t most;
  std::size_t* count;
};

// Stops after the first stranger: what is below is his affair.
_Unwind_Reason_Code add_frame(_Unwind_Context* context, void* argument) {
  const Walk& walk = *static_cast<Walk*>(argument);
  void* const frame = reinterpret_cast<void*>(_Unwind_GetIP(context));
  if (frame == nullptr || *walk.count == walk.most) return _URC_END_OF_STACK;
  walk.frames[(*walk.count)++] = frame;
  return owner_of(frame) == Owner::kStranger ? _URC_END_OF_STACK : _URC_NO_REASON;
}

}  // namespace

void find_modules() {
  module_count = 0;
  dl_iterate_phdr(add_module, nullptr);
}

CallStack::CallStack() {
  Walk walk{frames_, kMost, &count_};
  _Unwind_Backtrace(add_frame, &walk);
}

bool CallStack::is_ours() const {
  for (std::size_t i = 0; i < count_; ++i) {
    const Owner owner = owner_of(frames_[i]);
    if (owner != Owner::kServant) return owner == Owner::kOurs;
  }
  return false;
}

void CallStack::print() const {
  backtrace_symbols_fd(frames_, static_cast<int>(count_), STDERR_FILENO);
}

}  // namespace quarrow::faults

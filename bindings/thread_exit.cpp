// SPDX-License-Identifier: Apache-2.0
//
// How a thread ends that asks for the lock of an interpreter which has ended.
//
// CPython before 3.14 calls pthread_exit() there: in code of ours that takes the lock back, and
// just as well in any Python code that we call (a progress callback, __array__, an import). glibc
// unwinds the stack for it, and C++ objects on the way would be destroyed without the lock, up to a
// function that is noexcept, where the process aborts. So the first C++ frame that such an
// unwinding meets is its last: the thread waits there until the process ends. The compiler names
// this function in every frame; what this module defines comes before the C++ library's own, which
// does all the rest. Not by the linker's --wrap, which link-time optimisation passes by.
#include <dlfcn.h>
#include <unistd.h>
#include <unwind.h>

// NOLINTBEGIN(bugprone-reserved-identifier, readability-identifier-naming): the compiler's name
extern "C" _Unwind_Reason_Code __gxx_personality_v0(int version, _Unwind_Action actions,
                                                    _Unwind_Exception_Class kind,
                                                    _Unwind_Exception* exception,
                                                    _Unwind_Context* context) {
  // NOLINTEND(bugprone-reserved-identifier, readability-identifier-naming)
  using Personality = decltype(&__gxx_personality_v0);
  static const auto library =
      reinterpret_cast<Personality>(dlsym(RTLD_NEXT, "__gxx_personality_v0"));
  if ((actions & _UA_FORCE_UNWIND) != 0) {
    for (;;) pause();
  }
  return library(version, actions, kind, exception, context);
}

// SPDX-License-Identifier: Apache-2.0
//
// How a thread ends that asks for the lock of an interpreter which has ended.
//
// CPython before 3.14 calls pthread_exit() there: in code of ours that takes the lock back, and
// just as well in any Python code that we call (a progress callback, __array__, an import). glibc
// unwinds the stack for it, and C++ objects on the way would be destroyed without the lock, up to a
// function that is noexcept, where the process aborts. So the first C++ frame that such an
// unwinding meets is its last: the thread waits there until the process ends. The linker puts this
// function in the place of the one that the compiler names in every frame (--wrap in
// CMakeLists.txt).
#include <unistd.h>
#include <unwind.h>

extern "C" {

_Unwind_Reason_Code __real___gxx_personality_v0(int version, _Unwind_Action actions,
                                                _Unwind_Exception_Class kind,
                                                _Unwind_Exception* exception,
                                                _Unwind_Context* context);

_Unwind_Reason_Code __wrap___gxx_personality_v0(int version, _Unwind_Action actions,
                                                _Unwind_Exception_Class kind,
                                                _Unwind_Exception* exception,
                                                _Unwind_Context* context) {
  while ((actions & _UA_FORCE_UNWIND) != 0) pause();
  return __real___gxx_personality_v0(version, actions, kind, exception, context);
}
}

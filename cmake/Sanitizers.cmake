# QUARROW_SANITIZE: what -fsanitize= is given, for every target. A finding ends the program.
set(QUARROW_SANITIZE "" CACHE STRING "Sanitizers to build with, such as address,undefined or thread")
if(QUARROW_SANITIZE)
  # -g1: lines for stack traces. Following variables through instrumented kernels takes minutes.
  add_compile_options(-g1 -fsanitize=${QUARROW_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${QUARROW_SANITIZE})
endif()
if(QUARROW_BUILD_FUZZERS)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "QUARROW_BUILD_FUZZERS needs clang: -DCMAKE_CXX_COMPILER=clang++")
  endif()
  # The library tells the fuzzer which branches ran; only the targets themselves link its main().
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

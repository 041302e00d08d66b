# QUARROW_SANITIZE: what -fsanitize= is given, for every target. A finding ends the program.
set(QUARROW_SANITIZE "" CACHE STRING "Sanitizers to build with, such as address,undefined or thread")
if(QUARROW_SANITIZE)
  add_compile_options(-fsanitize=${QUARROW_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${QUARROW_SANITIZE})
endif()

# Finds what the core is built from. A missing library is one message that names the packages. GLOBAL:
# whoever links the core in another folder links these too.
find_package(Threads REQUIRED GLOBAL)
find_package(hwy CONFIG QUIET GLOBAL)
find_package(nlohmann_json CONFIG QUIET)
find_package(xxHash MODULE QUIET)

set(missing "")
if(NOT hwy_FOUND AND NOT HWY_FOUND)
  list(APPEND missing "Highway")
endif()
if(NOT nlohmann_json_FOUND)
  list(APPEND missing "nlohmann-json")
endif()
if(NOT xxHash_FOUND)
  list(APPEND missing "xxHash")
endif()
if(missing)
  list(JOIN missing ", " missing)
  message(FATAL_ERROR
    "quarrow needs libraries that were not found: ${missing}\n"
    "  apt:   apt-get install libhwy-dev nlohmann-json3-dev libxxhash-dev\n"
    "  brew:  brew install highway nlohmann-json xxhash\n"
    "  conda: conda install -c conda-forge libhwy nlohmann_json xxhash")
endif()

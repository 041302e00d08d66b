# Cross build for 64-bit ARM on Debian: g++-aarch64-linux-gnu, libraries of the arm64 architecture
# beside the native ones, qemu-user for the tests.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)
# A native package that was found first would not link.
set(CMAKE_IGNORE_PREFIX_PATH /usr/local)

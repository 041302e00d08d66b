# What other projects build against: the library, its headers and the package that find_package(quarrow)
# finds. It may be moved as a whole.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/quarrow")
install(TARGETS quarrow EXPORT quarrow-targets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development)
install(EXPORT quarrow-targets NAMESPACE quarrow::
  DESTINATION "${package_dir}" COMPONENT development)

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/quarrow-config.cmake.in"
  "${PROJECT_BINARY_DIR}/quarrow-config.cmake" INSTALL_DESTINATION "${package_dir}")
# Before 1.0 a minor version may change anything.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/quarrow-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/quarrow-config.cmake"
              "${PROJECT_BINARY_DIR}/quarrow-config-version.cmake"
  DESTINATION "${package_dir}" COMPONENT development)

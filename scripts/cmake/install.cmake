# cmake --install: the library, its public headers and the files that find_package(lucid) reads.
include(CMakePackageConfigHelpers)

set(LUCID_CONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/lucid)

install(TARGETS lucid EXPORT lucidTargets)
install(EXPORT lucidTargets NAMESPACE lucid:: DESTINATION ${LUCID_CONFIG_DIR})

# Headers keep their folders below include/lucid/, so that `#include <nn/models/unet3d.hpp>` reads the same
# in the tree and after installation. oneDNN's room, kernels and detail/ stay private, and so does what the
# rules of the reductions share, which speaks in the kernels' types.
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
  lucid/*.hpp autograd/*.hpp ops/*.hpp nn/*.hpp)
list(FILTER headers EXCLUDE REGEX "^ops/(onednn|kernels)/|/detail/|^ops/reduce_options.hpp$")
foreach(header IN LISTS headers)
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES ${PROJECT_SOURCE_DIR}/${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/lucid/${folder})
endforeach()

get_target_property(type lucid TYPE)
set(LUCID_STATIC OFF)
if(type STREQUAL "STATIC_LIBRARY")
  set(LUCID_STATIC ON)
endif()
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/lucidConfig.cmake.in
  ${PROJECT_BINARY_DIR}/lucidConfig.cmake INSTALL_DESTINATION ${LUCID_CONFIG_DIR})
# Before 1.0 a minor version may break its users.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lucidConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/lucidConfig.cmake ${PROJECT_BINARY_DIR}/lucidConfigVersion.cmake
  DESTINATION ${LUCID_CONFIG_DIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# cmake --install: the library, its public headers and the files that find_package(lucid) reads.
include(CMakePackageConfigHelpers)
include(${CMAKE_CURRENT_LIST_DIR}/includes.cmake)

set(LUCID_CONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/lucid)

install(TARGETS lucid EXPORT lucidTargets)
install(EXPORT lucidTargets NAMESPACE lucid:: DESTINATION ${LUCID_CONFIG_DIR})

# Headers keep their folders below include/lucid/, so that `#include <nn/models/unet3d.hpp>` reads the same
# in the tree and after installation.
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
  lucid/*.hpp autograd/*.hpp ops/*.hpp nn/*.hpp)

# oneDNN's room, kernels and detail/ stay private, and so does every header that includes a private one (what
# the files of an op family share). tests/consumer includes the umbrella, so nothing public gets lost here.
set(private ${headers})
list(FILTER private INCLUDE REGEX "^ops/(onednn|kernels|direct)/|/detail/")
lucid_add_includers(private "${headers}")
list(REMOVE_ITEM headers ${private})
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

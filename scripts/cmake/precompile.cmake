# What is precompiled. JSON's header costs a file a second even so, for the templates that it instantiates in
# each: files that don't include it, directly or by way of a header of the project, get only LUCID_PLAIN_HEADERS.
include(${CMAKE_CURRENT_LIST_DIR}/includes.cmake)

set(LUCID_PLAIN_HEADERS
  <algorithm> <array> <functional> <memory> <optional> <span> <string> <string_view> <vector>)

# Precompiles for `target`, whose sources, options and libraries are known: its files without JSON go to an
# object library of their own, compiled as they would be in the target.
function(lucid_precompile target)
  file(GLOB_RECURSE headers RELATIVE ${PROJECT_SOURCE_DIR} lucid/*.hpp autograd/*.hpp ops/*.hpp nn/*.hpp)
  set(json_headers nlohmann/json.hpp)
  lucid_add_includers(json_headers "${headers}")
  get_target_property(sources ${target} SOURCES)
  set(plain)
  foreach(source IN LISTS sources)
    cmake_path(RELATIVE_PATH source BASE_DIRECTORY ${PROJECT_SOURCE_DIR})
    list(APPEND plain ${source})
  endforeach()
  set(json ${plain})
  lucid_keep_including(json "${json_headers}")
  list(REMOVE_ITEM plain ${json})
  set_property(TARGET ${target} PROPERTY SOURCES ${json})
  target_precompile_headers(${target} PRIVATE <nlohmann/json.hpp>)
  add_library(${target}_plain OBJECT ${plain})
  target_precompile_headers(${target}_plain PRIVATE ${LUCID_PLAIN_HEADERS})
  foreach(property IN ITEMS COMPILE_DEFINITIONS COMPILE_FEATURES COMPILE_OPTIONS INCLUDE_DIRECTORIES)
    set_property(TARGET ${target}_plain PROPERTY ${property} $<TARGET_PROPERTY:${target},${property}>)
  endforeach()
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_plain>)
endfunction()

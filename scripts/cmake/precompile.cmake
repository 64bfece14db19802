# What is precompiled. JSON's header costs a file a second even so, for the templates that it instantiates in
# each: files that don't include it, directly or by way of a header of the project, get only LUCID_PLAIN_HEADERS.
set(LUCID_PLAIN_HEADERS
  <algorithm> <array> <functional> <memory> <optional> <span> <string> <string_view> <vector>)

# Keeps in the list `files` (absolute paths) those that include one of `headers`.
function(lucid_keep_including files headers)
  set(kept)
  foreach(file IN LISTS ${files})
    file(STRINGS ${file} includes REGEX "^[ \t]*#[ \t]*include")
    foreach(include IN LISTS includes)
      if(include MATCHES "[<\"]([^>\"]*)[>\"]" AND CMAKE_MATCH_1 IN_LIST headers)
        list(APPEND kept ${file})
        break()
      endif()
    endforeach()
  endforeach()
  set(${files} ${kept} PARENT_SCOPE)
endfunction()

# Keeps in the list `files` those that include JSON's header.
function(lucid_keep_json files)
  file(GLOB_RECURSE headers ${PROJECT_SOURCE_DIR}/autograd/*.hpp ${PROJECT_SOURCE_DIR}/lucid/*.hpp
    ${PROJECT_SOURCE_DIR}/nn/*.hpp ${PROJECT_SOURCE_DIR}/ops/*.hpp)
  set(with_json nlohmann/json.hpp)
  set(before)
  while(NOT with_json STREQUAL before)
    set(before ${with_json})
    set(found ${headers})
    lucid_keep_including(found "${with_json}")
    list(TRANSFORM found REPLACE "^${PROJECT_SOURCE_DIR}/" "")
    set(with_json nlohmann/json.hpp ${found})
  endwhile()
  lucid_keep_including(${files} "${with_json}")
  set(${files} ${${files}} PARENT_SCOPE)
endfunction()

# Precompiles for `target`, whose sources, options and libraries are known: its files without JSON go to an
# object library of their own, compiled as they would be in the target.
function(lucid_precompile target)
  get_target_property(plain ${target} SOURCES)
  set(json ${plain})
  lucid_keep_json(json)
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

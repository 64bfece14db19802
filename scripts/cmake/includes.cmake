# Who includes what, read from the files' own lines.

# Keeps in the list `files` (relative to the project's root) those that include one of `headers`.
function(lucid_keep_including files headers)
  set(kept)
  foreach(file IN LISTS ${files})
    file(STRINGS ${PROJECT_SOURCE_DIR}/${file} includes REGEX "^[ \t]*#[ \t]*include")
    foreach(include IN LISTS includes)
      if(include MATCHES "[<\"]([^>\"]*)[>\"]" AND CMAKE_MATCH_1 IN_LIST headers)
        list(APPEND kept ${file})
        break()
      endif()
    endforeach()
  endforeach()
  set(${files} ${kept} PARENT_SCOPE)
endfunction()

# Adds to the list `reached` those of `headers` that include one of it, directly or by way of others.
function(lucid_add_includers reached headers)
  set(found ${${reached}})
  set(all ${found})
  while(found)
    list(REMOVE_ITEM headers ${all})
    set(found ${headers})
    lucid_keep_including(found "${all}")
    list(APPEND all ${found})
  endwhile()
  set(${reached} ${all} PARENT_SCOPE)
endfunction()

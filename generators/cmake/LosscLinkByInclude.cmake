# lossc_link_by_include(<target> <source>): what a test or benchmark includes decides what it links, so that a test of
# the language builds without the compiler, and one of the compiler without the kernels:
#   "generators/...", "schedules/...", Halide.h, <lossc/halide.h>   the compiler
#   <lossc/lossc.h>, <lossc/lossc.hpp>, <lossc/losses/...>, "runtime/..."   the library with its kernels, in its testing form
# Every loss definition is linked in any case. Headers beside the source count as part of it. The words LOSSC_CLI,
# LOSSC_STATIC_LIBRARY and LOSSC_SHARED_LIBRARY become the paths of those files.
function(lossc_link_by_include target source)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(READ ${source} text)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *.h)
  foreach(header IN LISTS headers)
    if(text MATCHES "#include \"([a-z]+/)?${header}\"")
      file(READ ${header} more)
      string(APPEND text "${more}")
    endif()
  endforeach()

  target_link_libraries(${target} PRIVATE lossc_dsl)
  target_compile_definitions(${target} PRIVATE LOSSC_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  if(TARGET lossc_losses)
    target_link_libraries(${target} PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,lossc_losses>)
  endif()
  if(text MATCHES "#include [\"<](generators/|schedules/|Halide\\.h|lossc/halide\\.h)")
    if(TARGET lossc_codegen)
      target_link_libraries(${target} PRIVATE lossc_codegen fmt::fmt)
    else()
      target_link_libraries(${target} PRIVATE lossc_schedules)
    endif()
    target_precompile_headers(${target} REUSE_FROM lossc_schedules)
  endif()
  if(text MATCHES "#include [\"<](lossc/lossc\\.hp?p?|lossc/losses/|runtime/)")
    target_link_libraries(${target} PRIVATE lossc_testing)
  endif()
  if(text MATCHES "LOSSC_CLI")
    target_compile_definitions(${target} PRIVATE LOSSC_CLI="$<TARGET_FILE:lossc_cli>")
    add_dependencies(${target} lossc_cli)
  endif()
  if(text MATCHES "LOSSC_(STATIC|SHARED)_LIBRARY")
    target_compile_definitions(${target} PRIVATE LOSSC_STATIC_LIBRARY="$<TARGET_FILE:lossc>"
                                                 LOSSC_SHARED_LIBRARY="$<TARGET_FILE:lossc_shared>")
    add_dependencies(${target} lossc lossc_shared)
  endif()
endfunction()

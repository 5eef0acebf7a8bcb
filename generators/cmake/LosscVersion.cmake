# Two headers for the emitter.
#   version.h        LOSSC_VERSION, LOSSC_GIT: in every library's lossc_build_info(). Written when CMake configures, which
#                    a commit makes it do again.
#   codegen_hash.h   LOSSC_CODEGEN_HASH: of all that turns a kernel's structure into an object; part of the key under which
#                    objects are cached. Written by the build (this file run as a script).
if(CMAKE_SCRIPT_MODE_FILE)
  set(hashes "")
  file(STRINGS ${list} files)
  foreach(file IN LISTS files)
    file(SHA256 ${file} hash)
    string(APPEND hashes ${hash})
  endforeach()
  string(SHA256 hash "${hashes}")
  file(WRITE ${out} "#define LOSSC_CODEGEN_HASH \"${hash}\"\n")
  return()
endif()

find_package(Git QUIET)
if(Git_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse --short=12 HEAD WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
                  OUTPUT_VARIABLE git OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT git)
  set(git "no git")
endif()
if(EXISTS ${PROJECT_SOURCE_DIR}/.git/logs/HEAD)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/.git/logs/HEAD)
endif()
set(LOSSC_VERSION_DIR ${PROJECT_BINARY_DIR}/version)
file(CONFIGURE OUTPUT ${LOSSC_VERSION_DIR}/version.h
     CONTENT "#define LOSSC_VERSION \"@PROJECT_VERSION@\"\n#define LOSSC_GIT \"@git@\"\n" @ONLY)

file(GLOB_RECURSE codegen CONFIGURE_DEPENDS
     ${PROJECT_SOURCE_DIR}/schedules/*.cpp ${PROJECT_SOURCE_DIR}/schedules/*.h
     ${PROJECT_SOURCE_DIR}/generators/lower/*.cpp ${PROJECT_SOURCE_DIR}/generators/lower/*.h
     ${PROJECT_SOURCE_DIR}/generators/by_hand/*.cpp ${PROJECT_SOURCE_DIR}/generators/by_hand/*.h
     ${PROJECT_SOURCE_DIR}/generators/math/*.cpp ${PROJECT_SOURCE_DIR}/generators/math/*.h
     ${PROJECT_SOURCE_DIR}/generators/emit/object_file.* ${PROJECT_SOURCE_DIR}/dsl/ir.* ${PROJECT_SOURCE_DIR}/dsl/plan.h
     ${PROJECT_SOURCE_DIR}/runtime/table.h)
list(JOIN codegen "\n" lines)
file(CONFIGURE OUTPUT ${LOSSC_VERSION_DIR}/codegen_files.txt CONTENT "${lines}\n")
add_custom_command(
  OUTPUT ${LOSSC_VERSION_DIR}/codegen_hash.h
  COMMAND ${CMAKE_COMMAND} -Dlist=${LOSSC_VERSION_DIR}/codegen_files.txt -Dout=${LOSSC_VERSION_DIR}/codegen_hash.h
          -P ${CMAKE_CURRENT_LIST_FILE}
  DEPENDS ${codegen} ${LOSSC_VERSION_DIR}/codegen_files.txt ${CMAKE_CURRENT_LIST_FILE}
  COMMENT "Hashing the code generator"
  VERBATIM)

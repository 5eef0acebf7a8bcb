# lossc_add_library(TARGET <t> [SOURCES <loss.cpp>...] [LOSSES all|<name>...] [DTYPES f32 f64]
#                   [ISAS sse41 avx2 avx512] [CACHE <dir>] [OUTPUT_NAME <name>])
#
# Compiles losses into <t> (static) and <t>_shared: each has the whole C API of <lossc/lossc.h>, and nothing else is
# visible in it. SOURCES are definitions of your own; LOSSES picks from those that come with lossc (default: all when
# there are no SOURCES, none when there are). Headers with typed wrappers come along as <lossc/losses/NAME.h>.
#
# How: the definitions are linked with the compiler into an emitter <t>_emit. It runs as
#   <t>_emit --out DIR --dtypes f32,f64 --isas sse41,avx2,avx512 [--losses a,b] --cache DIR -j N
# and writes, each only if its content changes,
#   DIR/registry.cpp       the tables that the runtime reads
#   DIR/objects.rsp        the objects to link, one a line, relative to DIR
#   DIR/objects/*.o        kernels and Halide's runtime
#   DIR/manifest.json      what was emitted, with the hash of every object: differs whenever an object does
#   DIR/include/lossc/losses/NAME.h, DIR/stmt/*.stmt
# Tables, runtime and objects are then linked into one object in which only lossc_* stays global, so a program may hold
# a Halide, or a libstdc++, of its own.
function(lossc_add_library)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "TARGET;OUTPUT_NAME;CACHE" "SOURCES;LOSSES;DTYPES;ISAS")
  if(NOT arg_TARGET OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "lossc_add_library(TARGET <t> ...): TARGET missing, or unknown: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  set(t ${arg_TARGET})
  set(default_OUTPUT_NAME ${t})
  set(default_CACHE ${CMAKE_BINARY_DIR}/cache)
  set(default_DTYPES f32 f64)
  set(default_ISAS sse41 avx2 avx512)
  foreach(option OUTPUT_NAME CACHE DTYPES ISAS)
    if(NOT arg_${option})
      set(arg_${option} ${default_${option}})
    endif()
  endforeach()
  if(NOT arg_LOSSES AND NOT arg_SOURCES)
    set(arg_LOSSES all)
  endif()
  set(dir ${CMAKE_CURRENT_BINARY_DIR}/${t}.emit)

  # The emitter.
  if(arg_LOSSES)
    set(builtin $<LINK_LIBRARY:WHOLE_ARCHIVE,lossc::losses>)
  endif()
  file(CONFIGURE OUTPUT ${dir}/emit.cpp CONTENT "// main() is in lossc::emit_main\n")
  add_executable(${t}_emit ${dir}/emit.cpp ${arg_SOURCES})
  target_link_libraries(${t}_emit PRIVATE ${builtin} lossc::emit_main lossc::dsl)
  set_target_properties(${t}_emit PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)

  # Its run. A choice among the built-in losses has to name those in SOURCES as well.
  set(losses ${arg_LOSSES})
  if("all" IN_LIST losses)
    set(losses "")
  elseif(losses)
    foreach(source IN LISTS arg_SOURCES)
      file(STRINGS ${source} lines REGEX "^LOSSC_LOSS\\(")
      list(TRANSFORM lines REPLACE "^LOSSC_LOSS\\( *([a-z0-9_]+).*" "\\1")
      list(APPEND losses ${lines})
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    endforeach()
  endif()
  list(JOIN arg_DTYPES , dtypes)
  list(JOIN arg_ISAS , isas)
  if(losses)
    list(JOIN losses , losses)
    set(losses --losses ${losses})
  endif()
  cmake_host_system_information(RESULT jobs QUERY NUMBER_OF_LOGICAL_CORES)
  add_custom_command(
    OUTPUT ${dir}/registry.cpp ${dir}/objects.rsp ${dir}/manifest.json
    COMMAND ${t}_emit --out ${dir} --dtypes ${dtypes} --isas ${isas} ${losses} --cache ${arg_CACHE}
            -j ${jobs}
    DEPENDS ${t}_emit
    COMMENT "Compiling the losses of ${t}"
    VERBATIM USES_TERMINAL)

  # One object.
  add_library(${t}_registry OBJECT ${dir}/registry.cpp)
  target_link_libraries(${t}_registry PRIVATE lossc::runtime)
  set_target_properties(${t}_registry PROPERTIES CXX_STANDARD 20 CXX_VISIBILITY_PRESET hidden
                                                 POSITION_INDEPENDENT_CODE ON)
  set(object ${dir}/${t}.o)
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${CMAKE_LINKER} -r --force-group-allocation -o ${object} --whole-archive $<TARGET_FILE:lossc::runtime>
            --no-whole-archive $<TARGET_OBJECTS:${t}_registry> @objects.rsp
    COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=!lossc_registry --keep-global-symbol=lossc_* ${object}
    DEPENDS lossc::runtime $<TARGET_OBJECTS:${t}_registry> ${dir}/objects.rsp ${dir}/manifest.json
    WORKING_DIRECTORY ${dir}
    COMMENT "Linking the kernels of ${t}"
    COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(${t}_object DEPENDS ${object})

  # The libraries.
  set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
  add_library(${t} STATIC ${object})
  add_library(${t}_shared SHARED ${object})
  file(CONFIGURE OUTPUT ${dir}/exports.map CONTENT "LOSSC_1 { global: lossc_*; local: *; };\n")
  target_link_options(${t}_shared PRIVATE -Wl,--version-script=${dir}/exports.map -Wl,-z,defs -Wl,--as-needed)
  set_target_properties(${t}_shared PROPERTIES SOVERSION 1 LINK_DEPENDS ${dir}/exports.map)
  set_target_properties(${t} PROPERTIES LOSSC_EMIT_DIR ${dir})
  foreach(library ${t} ${t}_shared)
    add_dependencies(${library} ${t}_object)
    set_target_properties(${library} PROPERTIES OUTPUT_NAME ${arg_OUTPUT_NAME} LINKER_LANGUAGE CXX)
    target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${dir}/include>)
    target_link_libraries(${library} INTERFACE lossc::headers)
  endforeach()
  # For programs that CMake links with the C compiler; m, pthread and dl are Halide's runtime.
  target_link_libraries(${t} INTERFACE $<LINK_ONLY:stdc++> $<LINK_ONLY:m> $<LINK_ONLY:pthread> $<LINK_ONLY:dl>)
  target_link_libraries(${t}_shared PRIVATE m pthread dl)
endfunction()

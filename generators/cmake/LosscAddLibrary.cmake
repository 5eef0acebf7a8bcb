# lossc_add_library(TARGET <t> [SOURCES <loss.cpp>...] [LOSSES all|<name>...] [DTYPES f32 f64]
#                   [ISAS sse41 avx2 avx512] [HVP] [CACHE <dir>] [OUTPUT_NAME <name>])
#
# Compiles losses into <t> (static) and <t>_shared: each has the whole C API of <lossc/lossc.h>, and nothing else is
# visible in it. SOURCES are definitions of your own; LOSSES picks from those that come with lossc (default: all when
# there are no SOURCES, none when there are). HVP: also their Hessian products, for the lowest of the ISAS. Headers with typed wrappers come along as <lossc/losses/NAME.h>.
#
# How: the definitions are linked with the compiler into an emitter <t>_emit. It runs as
#   <t>_emit --out DIR --dtypes f32,f64 --isas sse41,avx2,avx512 [--hvp] [--losses a,b] --cache DIR -j N
# and writes, each only if its content changes,
#   DIR/registry.cpp        the list of losses (lossc_registry), for the C++ compiler
#   DIR/losses/NAME.cpp     the tables of one loss (lossc_loss_NAME)
#   DIR/hessians/NAME.cpp   with --hvp those of its Hessian products (lossc_hvp_NAME), in an object of their own
#   DIR/objects.rsp         the kernels' objects, one a line, relative to DIR
#   DIR/manifest.json       what was emitted, with a hash of every object: differs whenever an object does
#   DIR/include/lossc/losses/NAME.h, DIR/stmt/*.stmt
# Tables define lossc_loss_NAME and lossc_registry; kernels are lossc_internal_..., hidden, and want nothing but libc, libm
# and what runtime/halide_stubs.cpp has.

function(lossc_add_library)
  cmake_parse_arguments(PARSE_ARGV 0 arg "HVP" "TARGET;OUTPUT_NAME;CACHE" "SOURCES;LOSSES;DTYPES;ISAS")
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
  set(dir ${CMAKE_CURRENT_BINARY_DIR}/${t}.emit)

  # Which losses: those of SOURCES, and of lossc's own all, some or none.
  lossc_names(losses ${arg_SOURCES})
  get_target_property(builtin lossc::losses LOSSC_NAMES)
  if("all" IN_LIST arg_LOSSES OR NOT arg_LOSSES AND NOT arg_SOURCES)
    list(APPEND losses ${builtin})
    set(choice "")
  else()
    list(APPEND losses ${arg_LOSSES})
    list(JOIN losses , choice)
    set(choice --losses ${choice})
  endif()

  # The emitter, and its run.
  file(CONFIGURE OUTPUT ${dir}/emit.cpp CONTENT "// main() is in lossc::emit_main\n")
  add_executable(${t}_emit ${dir}/emit.cpp ${arg_SOURCES})
  target_link_libraries(${t}_emit PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,lossc::losses> lossc::emit_main lossc::dsl)
  set_target_properties(${t}_emit PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)

  list(TRANSFORM losses REPLACE "(.+)" "${dir}/losses/\\1.cpp" OUTPUT_VARIABLE tables)
  set(hvp "")
  if(arg_HVP)
    set(hvp --hvp)
    list(TRANSFORM losses REPLACE "(.+)" "${dir}/hessians/\\1.cpp" OUTPUT_VARIABLE hessians)
    list(APPEND tables ${hessians})
  endif()
  list(JOIN arg_DTYPES , dtypes)
  list(JOIN arg_ISAS , isas)
  cmake_host_system_information(RESULT jobs QUERY NUMBER_OF_LOGICAL_CORES)
  add_custom_command(
    OUTPUT ${dir}/registry.cpp ${tables} ${dir}/objects.rsp ${dir}/manifest.json
    COMMAND ${t}_emit --out ${dir} --dtypes ${dtypes} --isas ${isas} ${hvp} ${choice} --cache ${arg_CACHE} -j ${jobs}
    DEPENDS ${t}_emit
    COMMENT "Compiling the losses of ${t}"
    VERBATIM USES_TERMINAL)

  # Kernels, tables, libraries.
  add_custom_command(
    OUTPUT ${dir}/kernels.a
    COMMAND ${CMAKE_COMMAND} -E rm -f kernels.a
    COMMAND ${CMAKE_AR} qcS kernels.a @objects.rsp
    DEPENDS ${dir}/objects.rsp ${dir}/manifest.json
    WORKING_DIRECTORY ${dir}
    COMMENT "Archiving the kernels of ${t}"
    VERBATIM)
  set_source_files_properties(${dir}/registry.cpp PROPERTIES OBJECT_DEPENDS ${dir}/kernels.a)  # archive anew if they change
  add_library(${t}_tables OBJECT ${dir}/registry.cpp ${tables})
  target_link_libraries(${t}_tables PRIVATE lossc::runtime)
  set_target_properties(${t}_tables PROPERTIES CXX_STANDARD 20 POSITION_INDEPENDENT_CODE ON)

  lossc_archive(${t} ${t} lossc::runtime)
  file(CONFIGURE OUTPUT ${dir}/exports.map CONTENT "LOSSC_1 { global: lossc_*; local: lossc_registry; *; };\n")
  add_library(${t}_shared SHARED ${dir}/emit.cpp)
  target_link_libraries(${t}_shared PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,${t}> INTERFACE lossc::headers)
  target_include_directories(${t}_shared INTERFACE $<BUILD_INTERFACE:${dir}/include>)
  target_link_options(${t}_shared PRIVATE -Wl,--version-script=${dir}/exports.map -Wl,-z,defs
                      -Wl,--gc-sections)  # Halide's description of each kernel, which nobody reads
  set_target_properties(${t}_shared PROPERTIES OUTPUT_NAME ${arg_OUTPUT_NAME} SOVERSION 1)
  set_target_properties(${t} PROPERTIES OUTPUT_NAME ${arg_OUTPUT_NAME} LOSSC_EMIT_DIR ${dir})
endfunction()

# lossc_archive(<library> <t> <runtime>): a static library of what lossc_add_library(TARGET <t>) emits and a runtime.
function(lossc_archive library t runtime)
  set(dir ${CMAKE_CURRENT_BINARY_DIR}/${t}.emit)
  set(core ${dir}/${library}.core.o)
  set(enumeration ${dir}/${library}.enumeration.o)
  _lossc_link_command(link_runtime runtime $<TARGET_FILE:${runtime}> ${core} ${enumeration})
  add_custom_command(OUTPUT ${core} ${enumeration} COMMAND ${link_runtime} DEPENDS ${runtime} VERBATIM
                     COMMENT "Linking the runtime of ${library}")
  set_source_files_properties(${core} ${enumeration} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
  add_library(${library} STATIC ${core} ${enumeration} $<TARGET_OBJECTS:${t}_tables>)
  _lossc_link_command(add_kernels add $<TARGET_FILE:${library}> ${dir}/kernels.a)
  add_custom_command(TARGET ${library} POST_BUILD COMMAND ${add_kernels} VERBATIM)
  set_target_properties(${library} PROPERTIES LINKER_LANGUAGE CXX)
  target_include_directories(${library} INTERFACE $<BUILD_INTERFACE:${dir}/include>)
  target_link_libraries(${library} INTERFACE lossc::headers $<LINK_ONLY:stdc++> $<LINK_ONLY:m> $<LINK_ONLY:pthread>)
endfunction()

# lossc_names(<out> <source>...): the losses that these files define.
function(lossc_names out)
  set(names "")
  foreach(source IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    file(STRINGS ${source} lines REGEX "^LOSSC_LOSS\\(")
    list(TRANSFORM lines REPLACE "^LOSSC_LOSS\\( *([A-Za-z0-9_]+).*" "\\1")
    list(APPEND names ${lines})
  endforeach()
  set(${out} ${names} PARENT_SCOPE)
endfunction()

# _lossc_link_command(<out> <step of lossc_link.sh> <argument>...): the command line of a step.
function(_lossc_link_command out)
  set(${out} ${CMAKE_COMMAND} -E env AR=${CMAKE_AR} NM=${CMAKE_NM} LD=${CMAKE_LINKER} OBJCOPY=${CMAKE_OBJCOPY}
             ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/lossc_link.sh ${ARGN} PARENT_SCOPE)
endfunction()

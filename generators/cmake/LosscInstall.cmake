# cmake --install: for those who link losses, headers, libraries, losscConfig.cmake and lossc.pc; for those who write
# them, the compiler's own archives under lib/lossc (find_package(lossc COMPONENTS compiler), then lossc_add_library).
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/lossc)
set(private ${CMAKE_INSTALL_LIBDIR}/lossc)
get_target_property(emitted lossc LOSSC_EMIT_DIR)

install(TARGETS lossc lossc_shared lossc_headers EXPORT losscTargets)
install(EXPORT losscTargets NAMESPACE lossc:: DESTINATION ${package})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/runtime/include/ ${emitted}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

install(TARGETS lossc_cli)
install(TARGETS lossc_dsl lossc_schedules lossc_codegen lossc_losses lossc_emit_main lossc_runtime
        EXPORT losscCompilerTargets ARCHIVE DESTINATION ${private})
install(EXPORT losscCompilerTargets NAMESPACE lossc:: DESTINATION ${package})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/dsl/include/ ${PROJECT_SOURCE_DIR}/generators/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# Halide, with LLVM in it, and its licence.
cmake_path(SET halide_root NORMALIZE ${Halide_DIR}/../../..)
find_file(LOSSC_HALIDE_LICENSE LICENSE.txt PATHS ${halide_root}/share/doc/Halide ${halide_root} NO_DEFAULT_PATH REQUIRED)
install(FILES $<TARGET_FILE:Halide::Halide> DESTINATION ${private}
        PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
install(FILES ${LOSSC_HALIDE_LICENSE} DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME Halide-LICENSE.txt)
install(FILES ${LOSSC_HALIDE_INCLUDE}/Halide.h DESTINATION ${private}/include)  # for <lossc/halide.h>
install(FILES ${PROJECT_SOURCE_DIR}/runtime/table.h DESTINATION ${private}/include/runtime)

get_target_property(halide_file Halide::Halide IMPORTED_LOCATION_RELEASE)
cmake_path(GET halide_file FILENAME halide_file)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/losscConfig.cmake.in ${PROJECT_BINARY_DIR}/losscConfig.cmake
                              INSTALL_DESTINATION ${package} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/losscConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/losscConfig.cmake ${PROJECT_BINARY_DIR}/losscConfigVersion.cmake
              ${CMAKE_CURRENT_LIST_DIR}/LosscAddLibrary.cmake DESTINATION ${package})
install(PROGRAMS ${CMAKE_CURRENT_LIST_DIR}/lossc_link.sh DESTINATION ${package})

# Relocatable: paths count from lossc.pc's own folder.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_INCLUDEDIR BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
           OUTPUT_VARIABLE include_from_pc)
configure_file(${CMAKE_CURRENT_LIST_DIR}/lossc.pc.in ${PROJECT_BINARY_DIR}/lossc.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/lossc.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

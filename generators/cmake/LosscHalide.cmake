# Finds Halide 21 (the PyPI wheel's C++ half): Halide_DIR if given, else the wheel in .venv.
if(NOT Halide_DIR)
  file(GLOB _wheel ${CMAKE_CURRENT_LIST_DIR}/../../.venv/lib/python3*/site-packages/halide/lib64/cmake/Halide)
  if(_wheel)
    set(Halide_DIR ${_wheel} CACHE PATH "HalideConfig.cmake's folder")
  endif()
endif()
set(CMAKE_DISABLE_FIND_PACKAGE_Halide_Python TRUE)  # else HalideConfig warns when Python.h is not there
find_package(Halide 21 REQUIRED COMPONENTS shared)
cmake_path(SET _root NORMALIZE ${Halide_DIR}/../../..)
find_path(LOSSC_HALIDE_INCLUDE Halide.h PATHS ${_root}/include NO_DEFAULT_PATH REQUIRED)

# What the compiler's own libraries link. Installed it is lossc::halide (losscConfig.cmake), the copy of libHalide.so that
# lies among them: the wheel, or the clone that it was fetched into, may go.
set(LOSSC_HALIDE $<BUILD_INTERFACE:Halide::Halide> $<INSTALL_INTERFACE:lossc::halide>)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_LIBDIR BASE_DIRECTORY ${CMAKE_INSTALL_FULL_BINDIR} OUTPUT_VARIABLE _lib)
set(LOSSC_HALIDE_RPATH $ORIGIN/${_lib}/lossc)

# Installs the libraries for those who link them (headers, archives, losscConfig.cmake, lossc.pc) and the compiler for
# those who write losses (find_package(lossc COMPONENTS compiler), then lossc_add_library).

# Links against an old glibc, whatever the compiler's own is: GDCORE_OLD_GLIBC holds stubs of its
# libraries, libgomp.a and what newer headers take for granted (runtime.py makes them). The C++ and
# OpenMP runtimes are within the module, and nothing of them is seen from outside.
if(NOT CMAKE_HOST_SYSTEM_PROCESSOR STREQUAL "$ENV{GDCORE_ARCH}")
  set(CMAKE_SYSTEM_NAME Linux)
  set(CMAKE_SYSTEM_PROCESSOR $ENV{GDCORE_ARCH})
endif()
set(old $ENV{GDCORE_OLD_GLIBC})

set(CMAKE_CXX_COMPILER $ENV{GDCORE_CXX})
set(CMAKE_STRIP $ENV{GDCORE_STRIP})
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE NEVER)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)  # a program's start is the new glibc's
set(CMAKE_MODULE_LINKER_FLAGS_INIT "-nodefaultlibs -Wl,--as-needed -Wl,--build-id=none")
set(CMAKE_CXX_STANDARD_LIBRARIES "-Wl,-Bstatic -lstdc++ ${old}/libgomp.a ${old}/compat.o \
-Wl,-Bdynamic -L${old} -lpthread -ldl -lm -lc -lld $ENV{GDCORE_LIBGCC}")

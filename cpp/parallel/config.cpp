#include "parallel/config.hpp"

#include <dlfcn.h>
#include <omp.h>

#include <cstddef>

namespace gd::parallel {

std::string openmp_runtime() {
  std::string library = "unknown";
  // Asked by name: the address a program sees may be a stub of its own.
  void* function = dlsym(RTLD_DEFAULT, "omp_get_max_threads");
  Dl_info info;
  if (function != nullptr && dladdr(function, &info) != 0 && info.dli_fname != nullptr) {
    library = info.dli_fname;
    library.erase(0, library.rfind('/') + 1);
  }
  return library + ", OpenMP " + std::to_string(_OPENMP);
}

}  // namespace gd::parallel

#include "parallel/config.hpp"

#include <omp.h>

#include <string>

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace gd::parallel {

std::string openmp_runtime() {
  std::string library = "unknown";
  // Of the one this calls: others may be loaded beside it, and a wheel has its own within the
  // module.
#if defined(_WIN32)
  HMODULE module = nullptr;
  char path[MAX_PATH] = {};
  if (GetModuleHandleExA(
          GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
          reinterpret_cast<LPCSTR>(&omp_get_max_threads), &module) != 0 &&
      GetModuleFileNameA(module, path, MAX_PATH) != 0) {
    library = path;
  }
#else
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&omp_get_max_threads), &info) != 0 &&
      info.dli_fname != nullptr) {
    library = info.dli_fname;
  }
#endif
  library.erase(0, library.find_last_of("/\\") + 1);
  return library + ", OpenMP " + std::to_string(_OPENMP);
}

}  // namespace gd::parallel

#pragma once

#include <string>

namespace gd::parallel {

// The OpenMP library that is loaded and the version this was compiled for, e.g.
// "libgomp.so.1, OpenMP 201511".
std::string openmp_runtime();

}  // namespace gd::parallel

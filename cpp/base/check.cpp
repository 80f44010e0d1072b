#include "base/check.hpp"

namespace gd::base {

int64_t checked_product(int64_t a, int64_t b, const char* what) {
  int64_t product = 0;
  require<ValueError>(!__builtin_mul_overflow(a, b, &product), what, ": ", a, " x ", b,
                      " does not fit into 64 bits");
  return product;
}

}  // namespace gd::base

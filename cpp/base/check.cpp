#include "base/check.hpp"

#include <sstream>

namespace gd::base {

std::string joined(std::initializer_list<Part> parts) {
  std::ostringstream out;
  for (const Part& part : parts) {
    switch (part.kind_) {
      case Part::Kind::text:
        out << std::string_view(part.of_.text, part.size_);
        break;
      case Part::Kind::letter:
        out << static_cast<char>(part.of_.integer);
        break;
      case Part::Kind::integer:
        out << part.of_.integer;
        break;
      case Part::Kind::natural:
        out << part.of_.natural;
        break;
      case Part::Kind::real:
        out << part.of_.real;
        break;
    }
  }
  return out.str();
}

int64_t checked_product(int64_t a, int64_t b, const char* what) {
  int64_t product = 0;
  require<ValueError>(!__builtin_mul_overflow(a, b, &product), what, ": ", a, " x ", b,
                      " does not fit into 64 bits");
  return product;
}

}  // namespace gd::base

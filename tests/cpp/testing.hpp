#pragma once

// The few lines a room's tests need: TEST registers a body, CHECK* record failures and go on.

#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <sstream>
#include <string>
#include <vector>

namespace gd::testing {

struct Case {
  const char* name;
  void (*body)();
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

inline int& failures() {
  static int count = 0;
  return count;
}

struct Registration {
  Registration(const char* name, void (*body)()) { cases().push_back({name, body}); }
};

inline void fail(const char* file, int line, const std::string& what) {
  ++failures();
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
}

template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  out.precision(17);
  (out << ... << parts);
  return out.str();
}

// Runs every case, or those whose name contains argv[1]; the exit code is 1 on any failure.
inline int run_all(int argc, char** argv) {
  const char* filter = argc > 1 ? argv[1] : "";
  int ran = 0;
  int failed = 0;
  for (const Case& test : cases()) {
    if (std::strstr(test.name, filter) == nullptr) continue;
    const int before = failures();
    try {
      test.body();
    } catch (const std::exception& error) {
      fail(test.name, 0, text("unexpected exception: ", error.what()));
    }
    ++ran;
    const bool ok = failures() == before;
    failed += ok ? 0 : 1;
    std::printf("%-4s %s\n", ok ? "ok" : "FAIL", test.name);
  }
  std::printf("%d passed, %d failed\n", ran - failed, failed);
  return failed == 0 && ran > 0 ? 0 : 1;
}

}  // namespace gd::testing

#define TEST(name)                                                       \
  static void name();                                                    \
  static const gd::testing::Registration name##_registered(#name, name); \
  static void name()

#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) gd::testing::fail(__FILE__, __LINE__, "CHECK(" #condition ")"); \
  } while (false)

#define CHECK_EQ(a, b)                                                                   \
  do {                                                                                   \
    const auto& check_a = (a);                                                           \
    const auto& check_b = (b);                                                           \
    if (!(check_a == check_b))                                                           \
      gd::testing::fail(__FILE__, __LINE__,                                              \
                        gd::testing::text(#a " == " #b ": ", check_a, " vs ", check_b)); \
  } while (false)

#define CHECK_CLOSE(a, b, tolerance)                                                    \
  do {                                                                                  \
    const double check_a = static_cast<double>(a);                                      \
    const double check_b = static_cast<double>(b);                                      \
    if (!(std::abs(check_a - check_b) <= (tolerance)))                                  \
      gd::testing::fail(__FILE__, __LINE__,                                             \
                        gd::testing::text(#a " ~ " #b ": ", check_a, " vs ", check_b)); \
  } while (false)

#define CHECK_THROWS(Type, expression)                                                          \
  do {                                                                                          \
    bool check_thrown = false;                                                                  \
    try {                                                                                       \
      static_cast<void>(expression);                                                            \
    } catch (const Type&) {                                                                     \
      check_thrown = true;                                                                      \
    }                                                                                           \
    if (!check_thrown) gd::testing::fail(__FILE__, __LINE__, "no " #Type " from " #expression); \
  } while (false)

#define TEST_MAIN() \
  int main(int argc, char** argv) { return gd::testing::run_all(argc, argv); }

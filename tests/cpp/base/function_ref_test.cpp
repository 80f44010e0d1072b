#include "base/function_ref.hpp"

#include <memory>
#include <string>

#include "cpp/base/support.hpp"

using gd::base::FunctionRef;

namespace {

struct Doubler {
  int operator()(int x) const { return 2 * x; }
};

int call(FunctionRef<int(int)> f, int x) { return f(x); }

}  // namespace

TEST(function_ref_calls_what_it_was_made_of) {
  int calls = 0;
  const auto counting = [&](int x) {
    ++calls;
    return x + 1;
  };
  CHECK_EQ(call(counting, 4), 5);
  CHECK_EQ(call([](int x) { return x * x; }, 4), 16);
  CHECK_EQ(call(Doubler{}, 4), 8);
  CHECK_EQ(calls, 1);
}

TEST(function_ref_refers_and_does_not_copy) {
  auto counting = [count = 0](int step) mutable { return count += step; };
  const FunctionRef<int(int)> f = counting;
  f(2);
  const FunctionRef<int(int)> copy = f;  // of the reference
  CHECK_EQ(copy(3), 5);
  CHECK_EQ(counting(1), 6);
}

TEST(function_ref_passes_references_and_moves) {
  std::string text = "a";
  const auto append = [](std::string& to) { to += "b"; };
  FunctionRef<void(std::string&)>{append}(text);
  CHECK_EQ(text, "ab");
  const auto own = [](std::unique_ptr<int> p) { return *p; };
  CHECK_EQ(FunctionRef<int(std::unique_ptr<int>)>{own}(std::make_unique<int>(7)), 7);
}

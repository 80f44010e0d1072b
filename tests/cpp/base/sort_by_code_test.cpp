// Sorting by counting digits, against the library's stable sort.

#include "base/sort_by_code.hpp"

#include "cpp/base/support.hpp"

namespace {

struct Element {
  uint32_t code;
  uint32_t place;
  bool operator==(const Element&) const = default;
};

}  // namespace

TEST(elements_are_sorted_by_code_and_keep_their_order) {
  for (const int64_t size : {0, 1, 2, 24, 25, 100, 3000}) {
    for (const uint32_t codes : {1U, 2U, 3U, 2048U, 2049U, 100'000U, 1U << 24, 0xFFFFFFFFU}) {
      const auto drawn = gd::testing::labels_below(codes, size, 3);
      std::vector<Element> elements;
      for (const int64_t code : drawn) {
        elements.push_back({static_cast<uint32_t>(code), static_cast<uint32_t>(elements.size())});
      }
      if (size > 2) elements[1].code = codes - 1;
      std::vector<Element> want = elements, beside(elements.size());
      std::ranges::stable_sort(want, {}, &Element::code);
      const auto got = gd::base::sort_by_code<Element>(elements, beside.data(), codes);
      CHECK_AT(std::ranges::equal(got, want), size, " of ", codes);
    }
  }
}

#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>

namespace gd::base {

// Puts elements into the order of their member `code`, all below `codes`; those of one code stay in
// the order they came in. By counting digits: a pass for each 11 bits of a code. `beside` has room
// for as many; returns the one of the two where they are in the end.
template <class Element>
std::span<Element> sort_by_code(std::span<Element> elements, Element* beside, uint32_t codes) {
  constexpr size_t kFew = 24;
  constexpr int kMostBits = 11;
  if (elements.size() <= kFew) {
    for (size_t i = 1; i < elements.size(); ++i) {
      const Element element = elements[i];
      size_t at = i;
      for (; at > 0 && elements[at - 1].code > element.code; --at) elements[at] = elements[at - 1];
      elements[at] = element;
    }
    return elements;
  }
  const int bits = std::bit_width(codes - 1);
  const int passes = (bits + kMostBits - 1) / kMostBits;
  const int digit = passes == 0 ? 0 : (bits + passes - 1) / passes;
  const uint32_t mask = (uint32_t{1} << digit) - 1;
  std::span<Element> from = elements;
  std::span<Element> to(beside, elements.size());
  for (int shift = 0; shift < bits; shift += digit) {
    uint32_t begins[1 << kMostBits];
    std::fill_n(begins, mask + 1, 0);
    for (const Element& element : from) ++begins[(element.code >> shift) & mask];
    uint32_t begin = 0;
    for (uint32_t value = 0; value <= mask; ++value) {
      const uint32_t count = begins[value];
      begins[value] = begin;
      begin += count;
    }
    for (const Element& element : from) to[begins[(element.code >> shift) & mask]++] = element;
    std::swap(from, to);
  }
  return from;
}

}  // namespace gd::base

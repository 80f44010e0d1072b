#pragma once

// Whose work events are: trainers, and networks that no trainer has.

#include <memory>
#include <string>
#include <vector>

#include "profiling/numbering.hpp"

namespace gd::profiling {

using SourceId = Number;

inline constexpr SourceId kNoSource = kNoNumber;

struct NamedSource {
  uint64_t serial = 0;      // no two are the same
  std::string kind{};       // "trainer", "network", "rule"
  std::string network{};    // its sizes, such as "784-512-10"; empty where there is none
  std::string optimizer{};  // the rule's name, or empty
  std::string loss{};       // likewise
  std::string dtype{};

  std::string key() const { return std::to_string(serial); }
};

// The number of a source, from 1 on, and nobody else's while it lives; kNoSource where 65,535 live
// already. Anonymous as a default. On any thread.
class SourceNumber {
 public:
  SourceNumber() = default;
  explicit SourceNumber(NamedSource source);  // gives it a serial number
  ~SourceNumber();
  SourceNumber(const SourceNumber&) = delete;
  SourceNumber& operator=(const SourceNumber&) = delete;

  SourceId id() const { return id_; }

 private:
  SourceId id_ = kNoSource;
};

// All that have a number, and some that had one; that of number n stands at n - 1.
std::vector<NamedSource> named_sources();

}  // namespace gd::profiling

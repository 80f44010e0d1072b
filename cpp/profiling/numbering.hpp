#pragma once

// Numbers for what events name, so that an event needs two bytes for it.

#include <cstdint>
#include <limits>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace gd::profiling {

using Number = uint16_t;

inline constexpr Number kNoNumber = 0;

// Gives numbers from 1 on, the same to equal values. One that nobody has any more is given again,
// but only while `unread` says that no events may hold it. Value has a key() by which it is known.
// On any thread.
template <class Value>
class Numbering {
 public:
  // kNoNumber where all are taken.
  Number take(const Value& value, bool unread) {
    const std::lock_guard lock(mutex_);
    const std::string key = value.key();
    if (const auto found = numbers_.find(key); found != numbers_.end()) {
      ++users_[found->second - 1u];
      return found->second;
    }
    if (!unread) {
      while (!unused_.empty()) {
        const Number number = unused_.back();
        unused_.pop_back();
        if (users_[number - 1u] != 0) continue;  // in use again
        numbers_.erase(known_[number - 1u].key());
        known_[number - 1u] = value;
        users_[number - 1u] = 1;
        numbers_.emplace(key, number);
        return number;
      }
    }
    if (known_.size() >= std::numeric_limits<Number>::max()) return kNoNumber;
    known_.push_back(value);
    users_.push_back(1);
    numbers_.emplace(key, static_cast<Number>(known_.size()));
    return static_cast<Number>(known_.size());
  }

  void give_back(Number number) {
    const std::lock_guard lock(mutex_);
    if (--users_[number - 1u] == 0) unused_.push_back(number);
  }

  // All that have a number, and some that had one; that of number n stands at n - 1.
  std::vector<Value> all() {
    const std::lock_guard lock(mutex_);
    return known_;
  }

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
  std::vector<Value> known_;
  std::vector<uint32_t> users_;  // of each number
  std::unordered_map<std::string, Number> numbers_;
  std::vector<Number> unused_;
};

}  // namespace gd::profiling

#pragma once

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace gd::data {

// Mean and deviation of each column so far, of the samples that had it: Welford, "Note on a method
// for calculating corrected sums of squares and products", Technometrics 4, 1962. Columns never
// seen are of no sample.
class RunningScaler {
 public:
  RunningScaler() = default;
  RunningScaler(std::vector<double> counts, std::vector<double> means, std::vector<double> squares)
      : counts_(std::move(counts)), means_(std::move(means)), squares_(std::move(squares)) {}

  const std::vector<double>& counts() const { return counts_; }
  const std::vector<double>& means() const { return means_; }
  const std::vector<double>& squares() const { return squares_; }

  // Takes a sample into account, of which these columns are given, each once.
  void learn(const int32_t* columns, const double* values, int64_t count) {
    for (int64_t e = 0; e < count; ++e) {
      const auto c = static_cast<size_t>(columns[e]);
      if (c >= counts_.size()) {
        for (auto* const each : {&counts_, &means_, &squares_}) each->resize(c + 1);
      }
      const Column column = with(c, values[e]);
      counts_[c] = column.count;
      means_[c] = column.mean;
      squares_[c] = column.squares;
    }
  }

  // (x - mean) / deviation, 0 where nothing has deviated yet; with_it: as if it had been learnt.
  void transform(const int32_t* columns, const double* values, int64_t count, bool with_it,
                 double* to) const {
    for (int64_t e = 0; e < count; ++e) {
      const auto c = static_cast<size_t>(columns[e]);
      const Column column = with_it ? with(c, values[e]) : at(c);
      const double variance = column.squares / column.count;
      to[e] = column.squares > 0 ? (values[e] - column.mean) / std::sqrt(variance) : 0;
    }
  }

 private:
  struct Column {
    double count = 0;
    double mean = 0;
    double squares = 0;  // sum of squared deviations
  };

  Column at(size_t c) const {
    if (c >= counts_.size()) return {};
    return {counts_[c], means_[c], squares_[c]};
  }

  Column with(size_t c, double value) const {
    Column column = at(c);
    column.count += 1;
    const double before = value - column.mean;
    column.mean += before / column.count;
    column.squares += before * (value - column.mean);
    return column;
  }

  std::vector<double> counts_;
  std::vector<double> means_;
  std::vector<double> squares_;
};

}  // namespace gd::data

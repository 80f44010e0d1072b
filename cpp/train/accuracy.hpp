#pragma once

#include <optional>
#include <string>

#include "data/dataset.hpp"

namespace gd::train {

// The share of right answers by weight, where the loss is over classes: for cross_entropy a sample
// is right when its largest output is the class with the largest target, for bce_with_logits each
// output counts on its own and is right when its sign tells whether the target is above one half.
template <class T>
class AccuracyCounter {
 public:
  static bool counts(const std::string& loss) {
    return loss == "cross_entropy" || loss == "bce_with_logits";
  }

  explicit AccuracyCounter(const std::string& loss)
      : one_class_(loss == "cross_entropy"), each_output_(loss == "bce_with_logits") {}

  // outputs (rows.size(), any)
  void add(base::MatrixView<const T> outputs, const data::Dataset<T>& rows);

  std::optional<double> result() const {
    if (!one_class_ && !each_output_) return std::nullopt;
    return right_ / total_;
  }

 private:
  bool one_class_;
  bool each_output_;
  double right_ = 0;
  double total_ = 0;
};

}  // namespace gd::train

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "ops/formulas.hpp"

namespace gd::train {

// The share of right answers by weight, where the loss is over classes: where it takes a label a
// sample (cross_entropy, nll, focal), that is right when its largest output is the class with the
// largest target; for bce_with_logits, binary_focal and the hinge losses each output counts on its
// own and is right when its sign tells whether the target is above one half.
template <class T>
class AccuracyCounter {
 public:
  static bool counts(const std::string& loss) { return one_class(loss) || each_output(loss); }

  // Of an ensemble the mean of its members' probabilities counts, or of their margins.
  explicit AccuracyCounter(const std::string& loss, int64_t members = 1);

  // outputs (rows.size(), any)
  void add(base::MatrixView<const T> outputs, const data::Dataset<T>& rows);

  std::optional<double> result() const {
    if (!one_class_ && !each_output_) return std::nullopt;
    return right_ / total_;
  }

 private:
  static bool one_class(const std::string& loss) {
    return loss == "cross_entropy" || loss == "nll" || loss == "focal";
  }
  static bool each_output(const std::string& loss) {
    return loss == "bce_with_logits" || loss == "binary_focal" || loss == "hinge" ||
           loss == "squared_hinge";
  }

  // What tells the class of a row as one member's outputs do.
  const T* joined(const T* outputs, int64_t classes);

  bool one_class_;
  bool each_output_;
  int64_t members_;
  const ops::ActivationKernel<T>* probabilities_ = nullptr;  // null: outputs are averaged
  std::vector<T> joined_;                                    // and what becomes of each member
  double right_ = 0;
  double total_ = 0;
};

}  // namespace gd::train

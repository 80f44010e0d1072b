#include "train/accuracy.hpp"

#include <algorithm>

namespace gd::train {

template <class T>
AccuracyCounter<T>::AccuracyCounter(const std::string& loss, int64_t members)
    : one_class_(one_class(loss)), each_output_(each_output(loss)), members_(members) {
  if (members == 1 || !counts(loss)) return;
  const bool margins = loss == "hinge" || loss == "squared_hinge";
  if (!margins) probabilities_ = &ops::find_activation<T>(one_class_ ? "softmax" : "sigmoid");
}

template <class T>
const T* AccuracyCounter<T>::joined(const T* outputs, int64_t classes) {
  if (members_ == 1) return outputs;
  joined_.assign(outputs, outputs + members_ * classes);
  T* const all = joined_.data();
  if (probabilities_ != nullptr) {
    probabilities_->forward(members_, classes, all, classes, all, classes, nullptr);
  }
  for (int64_t m = 1; m < members_; ++m) {
    for (int64_t j = 0; j < classes; ++j) all[j] += all[m * classes + j];
  }
  if (each_output_ && probabilities_ != nullptr) {  // one half is 0
    for (int64_t j = 0; j < classes; ++j) all[j] -= static_cast<T>(members_) / 2;
  }
  return all;
}

template <class T>
void AccuracyCounter<T>::add(base::MatrixView<const T> outputs, const data::Dataset<T>& rows) {
  if (!one_class_ && !each_output_) return;
  const int64_t classes = outputs.cols / members_;
  for (int64_t i = 0; i < rows.size(); ++i) {
    const T* output = joined(outputs.row(i), classes);
    const double weight = rows.weights == nullptr ? 1.0 : static_cast<double>(rows.weights[i]);
    const T* target = rows.target.data == nullptr ? nullptr : rows.target.row(i);
    double right = 0;
    if (one_class_) {
      const int64_t chosen = std::max_element(output, output + classes) - output;
      const int64_t wanted =
          target == nullptr ? rows.labels[i] : std::max_element(target, target + classes) - target;
      right = chosen == wanted ? 1.0 : 0.0;
    } else {
      for (int64_t j = 0; j < classes; ++j) {
        right += (output[j] > 0) == (target[j] > T(0.5)) ? 1.0 : 0.0;
      }
    }
    right_ += weight * right;
    total_ += weight * (one_class_ ? 1.0 : static_cast<double>(classes));
  }
}

template class AccuracyCounter<float>;
template class AccuracyCounter<double>;

}  // namespace gd::train

#include "train/accuracy.hpp"

#include <algorithm>

namespace gd::train {

template <class T>
void AccuracyCounter<T>::add(base::MatrixView<const T> outputs, const data::Dataset<T>& rows) {
  if (!one_class_ && !each_output_) return;
  const int64_t classes = outputs.cols;
  for (int64_t i = 0; i < rows.size(); ++i) {
    const T* output = outputs.row(i);
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

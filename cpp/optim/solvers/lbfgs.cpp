#include "optim/solvers/lbfgs.hpp"

#include <algorithm>
#include <cmath>

namespace gd::optim {

using base::require;
using base::ValueError;

namespace {

// Of the strong Wolfe conditions: enough descent, and a slope that has flattened.
constexpr double kDescent = 1e-4;
constexpr double kFlat = 0.9;
constexpr double kLeastBracket = 1e-9;
constexpr int kMostTrials = 25;
constexpr double kLeastCurvature = 1e-10;
constexpr double kRounding = 0x1p-52;

// Where the cubic through two points with their slopes is least, within bounds; the middle of the
// bounds where it has no minimum or a loss is not finite.
template <class Point>
double cubic_minimum(const Point& a, const Point& b, double low, double high) {
  const double middle = (low + high) / 2;
  const double d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t);
  const double square = d1 * d1 - a.slope * b.slope;
  if (!(square >= 0) || !std::isfinite(square)) return middle;
  const double d2 = std::sqrt(square);
  const double least =
      a.t <= b.t ? b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
                 : a.t - (a.t - b.t) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2 * d2));
  return std::isfinite(least) ? std::min(std::max(least, low), high) : middle;
}

}  // namespace

template <class T>
Lbfgs<T>::Lbfgs(const std::vector<double>& hyper, std::vector<double> decay)
    : history_(static_cast<int64_t>(hyper[1])),
      max_iter_(static_cast<int64_t>(hyper[2])),
      searches_(hyper[3] != 0),
      tolerance_grad_(hyper[4]),
      tolerance_change_(hyper[5]),
      decay_(std::move(decay)) {
  // Before anybody makes so many states: their number alone is more than there could be.
  check_fits(static_cast<double>(history_) * 2 * base::kAlignment, "what LBFGS keeps",
             "give a smaller history_size");
  factors_.resize(static_cast<size_t>(history_));
  inverses_.resize(static_cast<size_t>(history_));
}

template <class T>
int64_t Lbfgs<T>::work_bytes(int64_t, int64_t flat_size) const {
  return kWork * flat_size * static_cast<int64_t>(sizeof(T));
}

template <class T>
void Lbfgs<T>::prepare(const Problem<T>& problem) {
  if (work_.size() != 0) return;
  vectors_ = Vectors(problem.spans);
  int64_t end = 0;
  for (const ParameterSpan& span : problem.spans) end = std::max(end, span.offset + span.size());
  end = base::padded<T>(end);
  work_ = base::AlignedBuffer<T>(kWork * end);
  for (int i = 0; i < kSlots; ++i) slots_[i] = work_.data() + i * end;
  start_ = work_.data() + kSlots * end;
  direction_ = start_ + end;
}

template <class T>
typename Lbfgs<T>::Point Lbfgs<T>::evaluate(Problem<T>& problem, T* gradient) {
  Point point;
  point.data = problem.evaluate();
  const T* const w = problem.weights;
  const T* const g = problem.gradients;
  vectors_.each(problem.threads, [&](const Vectors::Piece& p) {
    const T decay = static_cast<T>(decay_.of(p));
    for (int64_t i = p.begin; i < p.end; ++i) gradient[i] = g[i] + decay * w[i];
  });
  point.loss = point.data + decay_.penalty(vectors_, problem.threads, w);
  point.gradient = gradient;
  return point;
}

template <class T>
void Lbfgs<T>::move(Problem<T>& problem, double t) {
  const T step = static_cast<T>(t);
  vectors_.map(problem.threads, problem.weights,
               [&](int64_t i) { return start_[i] + step * direction_[i]; });
}

template <class T>
typename Lbfgs<T>::Point Lbfgs<T>::at(Problem<T>& problem, double t, T* gradient) {
  move(problem, t);
  Point point = evaluate(problem, gradient);
  point.t = t;
  point.slope = vectors_.dot(problem.threads, point.gradient, direction_);
  return point;
}

template <class T>
T* Lbfgs<T>::free_slot(const Point& a, const Point& b) {
  return *std::ranges::find_if(
      slots_, [&](const T* slot) { return slot != a.gradient && slot != b.gradient; });
}

template <class T>
typename Lbfgs<T>::Point Lbfgs<T>::search(Problem<T>& problem, const Point& start, double t) {
  const double longest = vectors_.largest(direction_);
  const auto too_high = [&](const Point& point) {
    return !(point.loss <= start.loss + kDescent * point.t * start.slope);
  };
  const auto is_flat = [&](const Point& point) {
    return std::abs(point.slope) <= -kFlat * start.slope;
  };
  // First a stretch of the line that holds such a point.
  Point before = start;
  Point now = at(problem, t, free_slot(before, start));
  int trials = 0;
  for (;; ++trials) {
    if (trials == kMostTrials) {
      before = start;
      break;
    }
    if (too_high(now) || (trials > 1 && now.loss >= before.loss)) break;
    if (is_flat(now)) return now;
    if (now.slope >= 0) break;
    const double least = now.t + 0.01 * (now.t - before.t);
    const double next = cubic_minimum(before, now, least, now.t * 10);
    before = now;
    now = at(problem, next, free_slot(before, start));
  }
  // Then smaller and smaller ones.
  Point low = before.loss <= now.loss || !std::isfinite(now.loss) ? before : now;
  Point high = low.t == before.t ? now : before;
  bool stuck = false;
  while (trials < kMostTrials && !(std::abs(low.t - high.t) * longest < kLeastBracket)) {
    const double least = std::min(low.t, high.t);
    const double most = std::max(low.t, high.t);
    double next = cubic_minimum(low, high, least, most);
    const double margin = 0.1 * (most - least);
    if (std::min(most - next, next - least) < margin) {
      if (stuck || next >= most || next <= least) {
        next = std::abs(next - most) < std::abs(next - least) ? most - margin : least + margin;
        stuck = false;
      } else {
        stuck = true;
      }
    } else {
      stuck = false;
    }
    now = at(problem, next, free_slot(low, high));
    ++trials;
    if (too_high(now) || now.loss >= low.loss) {
      high = now;
      if (high.loss < low.loss) std::swap(low, high);
      continue;
    }
    if (is_flat(now)) return now;
    if (now.slope * (high.t - low.t) >= 0) high = low;
    low = now;
  }
  return low;
}

// The pair of the last step, where the loss curves upwards along it.
template <class T>
void Lbfgs<T>::remember(Problem<T>& problem, const T* gradient) {
  const T* const before = problem.states[0];
  const T* const step = problem.states[1];
  T* const difference = start_;  // free until the next search
  vectors_.map(problem.threads, difference, [&](int64_t i) { return gradient[i] - before[i]; });
  const double curvature = vectors_.dot(problem.threads, difference, step);
  const double squares = vectors_.dot(problem.threads, difference, difference);
  // Near a minimum all of them are below the first bound, and none may be left out.
  if (!(curvature > std::min(kLeastCurvature, kRounding * squares))) return;
  if (pairs_ == history_) {
    first_ = (first_ + 1) % history_;
    --pairs_;
  }
  const int64_t pair = pairs_++;
  vectors_.copy(problem.threads, step, s(problem, pair));
  vectors_.copy(problem.threads, difference, y(problem, pair));
  inverses_[static_cast<size_t>(slot(pair))] = 1 / curvature;
  scale_ = curvature / squares;
}

template <class T>
void Lbfgs<T>::direct(Problem<T>& problem, const T* gradient) {
  const int threads = problem.threads;
  T* const d = direction_;
  vectors_.map(threads, d, [&](int64_t i) { return -gradient[i]; });
  for (int64_t pair = pairs_ - 1; pair >= 0; --pair) {
    const double factor =
        vectors_.dot(threads, s(problem, pair), d) * inverses_[static_cast<size_t>(slot(pair))];
    factors_[static_cast<size_t>(pair)] = factor;
    const T less = static_cast<T>(-factor);
    const T* const other = y(problem, pair);
    vectors_.map(threads, d, [&](int64_t i) { return d[i] + less * other[i]; });
  }
  const T scale = static_cast<T>(scale_);
  vectors_.map(threads, d, [&](int64_t i) { return d[i] * scale; });
  for (int64_t pair = 0; pair < pairs_; ++pair) {
    const double back =
        vectors_.dot(threads, y(problem, pair), d) * inverses_[static_cast<size_t>(slot(pair))];
    const T more = static_cast<T>(factors_[static_cast<size_t>(pair)] - back);
    const T* const other = s(problem, pair);
    vectors_.map(threads, d, [&](int64_t i) { return d[i] + more * other[i]; });
  }
}

template <class T>
typename Lbfgs<T>::Outcome Lbfgs<T>::iterate(Problem<T>& problem, double lr) {
  prepare(problem);
  const int threads = problem.threads;
  if (!known_) now_ = evaluate(problem, slots_[0]);
  known_ = true;
  Outcome outcome{now_.data, 0, nullptr};
  if (!std::isfinite(now_.loss)) {
    outcome.loss = now_.loss;
    return outcome;
  }
  if (vectors_.largest(now_.gradient) <= tolerance_grad_) {
    outcome.ending = "tolerance_grad";
    return outcome;
  }
  while (outcome.iterations < max_iter_ && outcome.ending == nullptr) {
    ++iterations_;
    if (iterations_ == 1) {
      pairs_ = first_ = 0;
      scale_ = 1;
    } else {
      remember(problem, now_.gradient);
    }
    direct(problem, now_.gradient);
    T* const before = problem.states[0];
    vectors_.copy(threads, now_.gradient, before);
    Point start = now_;
    start.t = 0;
    start.gradient = before;
    start.slope = vectors_.dot(threads, before, direction_);
    if (start.slope > -tolerance_change_) {
      outcome.ending = "tolerance_change";
      break;
    }
    double t = lr;
    if (iterations_ == 1) {
      const double sum = vectors_.sum(threads, [&](const Vectors::Piece& p) {
        double part = 0;
        for (int64_t i = p.begin; i < p.end; ++i) part += std::abs(static_cast<double>(before[i]));
        return part;
      });
      t = std::min(1.0, 1 / sum) * lr;
    }
    vectors_.copy(threads, problem.weights, start_);
    if (searches_) {
      now_ = search(problem, start, t);
      t = now_.t;
      if (now_.gradient == before) {  // no better place was found
        vectors_.copy(threads, before, slots_[0]);
        now_.gradient = slots_[0];
      }
    }
    move(problem, t);
    const T length = static_cast<T>(t);
    T* const step = problem.states[1];
    vectors_.map(threads, step, [&](int64_t i) { return direction_[i] * length; });
    ++outcome.iterations;
    known_ = searches_;
    if (!searches_ && outcome.iterations < max_iter_) {
      now_ = evaluate(problem, slots_[0]);
      known_ = true;
      if (!std::isfinite(now_.loss)) break;  // told where the next epoch begins
    }
    if (known_ && vectors_.largest(now_.gradient) <= tolerance_grad_) {
      outcome.ending = "tolerance_grad";
    } else if (vectors_.largest(step) <= tolerance_change_ ||
               (known_ && std::abs(now_.loss - start.loss) < tolerance_change_)) {
      outcome.ending = "tolerance_change";
    }
  }
  return outcome;
}

template <class T>
std::vector<double> Lbfgs<T>::kept() const {
  std::vector<double> numbers{static_cast<double>(iterations_), static_cast<double>(pairs_),
                              static_cast<double>(first_), scale_};
  numbers.insert(numbers.end(), inverses_.begin(), inverses_.end());
  return numbers;
}

template <class T>
void Lbfgs<T>::set_kept(std::span<const double> numbers) {
  const auto size = static_cast<size_t>(4 + history_);
  const auto is_count = [](double number, int64_t most) {
    return number >= 0 && number <= static_cast<double>(most) && number == std::floor(number);
  };
  bool right = numbers.size() == size && is_count(numbers[0], int64_t{1} << 53) &&
               is_count(numbers[1], history_) && is_count(numbers[2], history_ - 1);
  for (const double number : numbers) right = right && std::isfinite(number);
  require<ValueError>(right, "the numbers that LBFGS goes on from are none of its own");
  iterations_ = static_cast<int64_t>(numbers[0]);
  pairs_ = static_cast<int64_t>(numbers[1]);
  first_ = static_cast<int64_t>(numbers[2]);
  scale_ = numbers[3];
  std::copy(numbers.begin() + 4, numbers.end(), inverses_.begin());
  known_ = false;
}

template class Lbfgs<float>;
template class Lbfgs<double>;

}  // namespace gd::optim

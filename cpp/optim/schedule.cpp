#include "optim/schedule.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/scalar_math.hpp"

namespace gd::optim {

using base::fail;
using base::require;
using base::ValueError;

namespace {

class Constant final : public Schedule {
 public:
  double rate(double base, int64_t) const override { return base; }
};

// base gamma^floor(t / size)
class Step final : public Schedule {
 public:
  explicit Step(const std::vector<double>& p) : size_(static_cast<int64_t>(p[0])), gamma_(p[1]) {}
  double rate(double base, int64_t t) const override {
    return base * base::power(gamma_, t / size_);
  }

 private:
  int64_t size_;
  double gamma_;
};

// base gamma^t
class Exponential final : public Schedule {
 public:
  explicit Exponential(const std::vector<double>& p) : gamma_(p[0]) {}
  double rate(double base, int64_t t) const override { return base * base::power(gamma_, t); }

 private:
  double gamma_;
};

// least + (base - least) (1 + cos(pi t / duration)) / 2, and `least` from there on
class Cosine final : public Schedule {
 public:
  explicit Cosine(const std::vector<double>& p) : duration_(p[0]), least_(p[1]) {}
  double rate(double base, int64_t t) const override {
    const double share = std::min(static_cast<double>(t) / duration_, 1.0);
    return least_ + (base - least_) * (0.5 + 0.5 * base::cos_two_pi(0.5 * share));
  }

 private:
  double duration_;
  double least_;
};

// base (start + (1 - start) t / duration), then what follows, with its time from 0
class Warmup final : public Schedule {
 public:
  Warmup(const std::vector<double>& p, std::unique_ptr<Schedule> after)
      : duration_(static_cast<int64_t>(p[0])), start_(p[1]), after_(std::move(after)) {}
  double rate(double base, int64_t t) const override {
    if (t >= duration_) return after_->rate(base, t - duration_);
    const double share = static_cast<double>(t) / static_cast<double>(duration_);
    return base * (start_ + (1.0 - start_) * share);
  }

 private:
  int64_t duration_;
  double start_;
  std::unique_ptr<Schedule> after_;
};

using Parts = std::vector<ScheduleDescription>;

std::unique_ptr<Schedule> make(Parts::const_iterator part, Parts::const_iterator end) {
  const auto takes = [&](size_t count) {
    require<ValueError>(part->parameters.size() == count, "schedule '", part->name, "' takes ",
                        count, " parameters, got ", part->parameters.size());
  };
  if (part->name == "warmup") {
    takes(2);
    auto after = part + 1 == end ? std::unique_ptr<Schedule>(std::make_unique<Constant>())
                                 : make(part + 1, end);
    return std::make_unique<Warmup>(part->parameters, std::move(after));
  }
  require<ValueError>(part + 1 == end, "only a warm-up can have a schedule after it, got '",
                      part->name, "'");
  if (part->name == "constant") {
    takes(0);
    return std::make_unique<Constant>();
  }
  if (part->name == "step") {
    takes(2);
    return std::make_unique<Step>(part->parameters);
  }
  if (part->name == "exponential") {
    takes(1);
    return std::make_unique<Exponential>(part->parameters);
  }
  if (part->name == "cosine") {
    takes(2);
    return std::make_unique<Cosine>(part->parameters);
  }
  fail<ValueError>("schedule must be one of constant, cosine, exponential, step, warmup, got '",
                   part->name, "'");
}

}  // namespace

std::unique_ptr<Schedule> make_schedule(const Parts& parts) {
  require<ValueError>(!parts.empty(), "a schedule needs at least one part, got none");
  return make(parts.begin(), parts.end());
}

}  // namespace gd::optim

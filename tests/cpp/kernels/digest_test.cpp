// What the scalar kernels make of fixed numbers, folded into one number a kernel. Equal digests on
// two machines mean equal bits; the expected ones hold for every architecture.

#include <cmath>
#include <cstdio>

#include "cpp/kernels/digests.hpp"
#include "cpp/kernels/support.hpp"

using gd::kernels::kMaxScalars;
using gd::kernels::kMaxStates;
using gd::kernels::TypedKernels;
using gd::testing::Digest;
using gd::testing::hex;

namespace {

// Only ordinary numbers are promised to be alike; there must be no others here.
template <class T>
void add(Digest& digest, const std::vector<T>& values) {
  for (const T value : values) CHECK(std::fpclassify(value) == FP_NORMAL || value == 0);
  digest.add(values);
}

constexpr int64_t kRows = 3;
constexpr int64_t kCols = 37;

template <class T>
std::vector<T> numbers(uint64_t seed) {
  return gd::testing::normals<T>(kRows * kCols, seed, 2.0);
}

template <class T>
Digest gemm_digest(const TypedKernels<T>& kernels) {
  Digest digest;
  const std::vector<T> a = numbers<T>(1);
  const std::vector<T> b = numbers<T>(2);
  const std::vector<T> bias = numbers<T>(3);
  std::vector<T> c(4, T(0));
  for (const auto chain :
       {gd::kernels::Chain::start, gd::kernels::Chain::go_on, gd::kernels::Chain::add_part}) {
    kernels.gemm({50, a.data(), 50, 1, b.data(), 2, c.data(), 2, 2, 2, bias.data(), chain});
    add(digest, c);
  }
  return digest;
}

template <class T>
Digest reduce_digest(const TypedKernels<T>& kernels) {
  Digest digest;
  const std::vector<T> x = numbers<T>(4);
  std::vector<T> columns(kCols);
  kernels.reduce.column_sum(kRows, kCols, x.data(), kCols, false, columns.data());
  add(digest, columns);
  add<T>(digest, {kernels.reduce.sum(kRows * kCols, x.data()),
                  kernels.reduce.sum_squares(kRows * kCols, x.data())});
  return digest;
}

template <class T>
Digest activation_digest(const gd::kernels::ActivationKernel<T>& activation) {
  Digest digest;
  const std::vector<T> parameters = gd::testing::parameters_of<T>(activation.parameters);
  const std::vector<T> z = numbers<T>(5);
  std::vector<T> a(z.size());
  activation.forward(kRows, kCols, z.data(), kCols, a.data(), kCols, parameters.data());
  add(digest, a);
  std::vector<T> g = numbers<T>(6);
  activation.backward(kRows, kCols, activation.from_output ? a.data() : z.data(), kCols, g.data(),
                      kCols, parameters.data());
  add(digest, g);
  return digest;
}

template <class T>
Digest loss_digest(const gd::kernels::LossKernel<T>& loss, bool with_array) {
  Digest digest;
  const int64_t cols = gd::testing::takes_outputs(loss, kCols) ? kCols : kCols - 1;
  const std::vector<T> parameters = gd::testing::parameters_of<T>(loss.parameters);
  const std::vector<T> y = numbers<T>(7);
  const std::vector<T> target = gd::testing::uniforms<T>(kRows * kCols, 8);
  const std::vector<int64_t> labels = gd::testing::labels_below(cols, kRows, 9);
  const std::vector<T> weights = {T(0.5), T(2), T(1.25)};
  const std::vector<T> array = gd::testing::array_for<T>(cols);
  for (const bool by_label : {false, true}) {
    if (by_label && loss.targets != gd::kernels::Targets::categories) continue;
    std::vector<T> losses(kRows);
    std::vector<T> gradient(static_cast<size_t>(kRows * cols));
    loss.run({kRows, cols, y.data(), cols, by_label ? nullptr : target.data(), cols,
              by_label ? labels.data() : nullptr, weights.data(), 3.75, parameters.data(),
              losses.data(), gradient.data(), cols, with_array ? array.data() : nullptr});
    add(digest, losses);
    add(digest, gradient);
  }
  return digest;
}

// Every parameter on, and only the rate: two of the variants.
template <class T>
Digest rule_digest(const gd::kernels::RuleKernel<T>& rule) {
  Digest digest;
  const std::vector<double> full = gd::testing::parameters_of<double>(rule.parameters);
  std::vector<double> plain(full.size(), 0.0);
  plain[0] = full[0];
  for (const auto& hyper : {full, plain}) {
    std::vector<T> w = numbers<T>(10);
    std::vector<T> states[kMaxStates];
    double kept[gd::kernels::kMaxKept] = {};
    for (int64_t step = 1; step <= 3; ++step) {
      double scalars[kMaxScalars] = {};
      rule.prepare(hyper.data(), hyper[0], step, kept, scalars);
      T rounded[kMaxScalars];
      for (int i = 0; i < kMaxScalars; ++i) rounded[i] = static_cast<T>(scalars[i]);
      const std::vector<T> g = numbers<T>(static_cast<uint64_t>(10 + step));
      gd::kernels::RuleSpan<T> span{kRows * kCols, w.data(), g.data(), {}, rounded};
      for (int s = 0; s < rule.states(hyper.data()); ++s) {
        states[s].resize(w.size());
        span.states[s] = states[s].data();
      }
      rule.update[rule.variant(hyper.data())](span);
      add(digest, w);
    }
  }
  return digest;
}

class Comparison {
 public:
  void add(const std::string& name, const Digest& digest) {
    const uint64_t value = digest.value();
    all_.add(&value, 1);
    for (const auto& expected : gd::testing::kExpectedDigests) {
      if (name != expected.name) continue;
      CHECK_AT(value == expected.value, name, " gives ", hex(value));
      return;
    }
    std::printf("     no digest is expected of %s; it gives %s\n", name.c_str(),
                hex(value).c_str());
  }
  std::string total() const { return hex(all_.value()); }

 private:
  Digest all_;
};

}  // namespace

TEST(kernels_give_the_expected_bits) {
  Comparison comparison;
  gd::testing::for_scalar([&]<class T>(const std::string& type, const TypedKernels<T>& kernels) {
    const auto name = [&](const char* kind, const char* which) {
      return type + " " + kind + which;
    };
    comparison.add(name("gemm", ""), gemm_digest(kernels));
    comparison.add(name("reduce", ""), reduce_digest(kernels));
    for (const auto& f : kernels.activations) {
      comparison.add(name("activation ", f.name), activation_digest(f));
    }
    for (const auto& f : kernels.losses) {
      comparison.add(name("loss ", f.name), loss_digest(f, false));
      if (f.array == gd::kernels::LossArray::none) continue;
      comparison.add(name("loss ", f.name) + " with " + f.array_name, loss_digest(f, true));
    }
    for (const auto& f : kernels.rules) comparison.add(name("rule ", f.name), rule_digest(f));
  });
  std::printf("kernels digest %s\n", comparison.total().c_str());
}

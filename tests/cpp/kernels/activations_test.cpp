// Every activation of every instruction set against scalar: all tails, strides, special values.

#include "cpp/kernels/support.hpp"

using gd::kernels::ActivationKernel;
using gd::kernels::TypedKernels;
using gd::testing::Matrix;

namespace {

constexpr int64_t kRows = 3;
constexpr int64_t kMostCols = 70;

template <class T>
struct Buffers {
  Matrix<T> z{2048}, a{2048}, want{2048}, g{2048}, want_g{2048};
};

template <class T>
void forward_and_backward(const std::string& where, const ActivationKernel<T>& fast,
                          const ActivationKernel<T>& reference, int64_t cols,
                          const std::vector<T>& inputs, const std::vector<T>& gradients,
                          Buffers<T>& b) {
  const std::vector<T> parameters = gd::testing::parameters_of<T>(fast.parameters);
  const std::vector<T> z = b.z.shape(kRows, cols, 3).fill(inputs).values();
  b.want.shape(kRows, cols, 1);
  reference.forward(kRows, cols, b.z.data(), b.z.stride(), b.want.data(), b.want.stride(),
                    parameters.data());
  b.a.shape(kRows, cols, 5);
  fast.forward(kRows, cols, b.z.data(), b.z.stride(), b.a.data(), b.a.stride(), parameters.data());
  CHECK_SAME(b.a.values(), b.want.values(), where, " forward");
  CHECK_AT(b.a.surroundings_untouched(), where);
  CHECK_SAME(b.z.values(), z, where, " input");

  Matrix<T>& saved = fast.from_output ? b.want : b.z;
  b.want_g.shape(kRows, cols, 2).fill(gradients);
  reference.backward(kRows, cols, saved.data(), saved.stride(), b.want_g.data(), b.want_g.stride(),
                     parameters.data());
  b.g.shape(kRows, cols, 4).fill(gradients);
  fast.backward(kRows, cols, saved.data(), saved.stride(), b.g.data(), b.g.stride(),
                parameters.data());
  CHECK_SAME(b.g.values(), b.want_g.values(), where, " backward");
  CHECK_AT(b.g.surroundings_untouched(), where);

  // In place.
  fast.forward(kRows, cols, b.z.data(), b.z.stride(), b.z.data(), b.z.stride(), parameters.data());
  CHECK_SAME(b.z.values(), b.want.values(), where, " in place");
  CHECK_AT(b.z.surroundings_untouched(), where);
}

}  // namespace

TEST(activations_agree_with_scalar_over_all_tails) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& fast,
                                           const TypedKernels<T>& reference) {
    Buffers<T> buffers;
    for (int f = 0; f < gd::kernels::kActivations; ++f) {
      for (int64_t cols = 1; cols <= kMostCols; ++cols) {
        const auto seed = static_cast<uint64_t>(cols);
        forward_and_backward<T>(
            gd::testing::text(isa, " ", fast.activations[f].name, " cols ", cols),
            fast.activations[f], reference.activations[f], cols,
            gd::testing::normals<T>(kRows * cols, seed, 3.0),
            gd::testing::normals<T>(kRows * cols, seed + 100), buffers);
      }
    }
  });
}

TEST(activations_agree_with_scalar_on_special_values) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& fast,
                                           const TypedKernels<T>& reference) {
    Buffers<T> buffers;
    const std::vector<T> specials = gd::testing::special_values<T>();
    const auto size = static_cast<int64_t>(specials.size());
    for (int f = 0; f < gd::kernels::kActivations; ++f) {
      const std::string where = gd::testing::text(isa, " ", fast.activations[f].name);
      forward_and_backward<T>(where + " special", fast.activations[f], reference.activations[f],
                              size, specials, gd::testing::normals<T>(kRows * size, 1), buffers);
      // One a row, so that NaN and infinity do not hide the others where rows are one.
      for (const T special : specials) {
        std::vector<T> inputs = gd::testing::normals<T>(kRows * 19, 2);
        inputs[7] = special;
        forward_and_backward<T>(gd::testing::text(where, " with ", special), fast.activations[f],
                                reference.activations[f], 19, inputs,
                                gd::testing::normals<T>(kRows * 19, 3), buffers);
      }
      for (uint64_t seed = 0; seed < 10; ++seed) {
        forward_and_backward<T>(where + " mixed", fast.activations[f], reference.activations[f], 37,
                                gd::testing::mixed<T>(kRows * 37, seed),
                                gd::testing::mixed<T>(kRows * 37, seed + 50), buffers);
      }
    }
  });
}

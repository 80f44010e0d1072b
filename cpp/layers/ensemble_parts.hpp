#pragma once

// What layers of an ensemble have in common. A value of k members is (N, k width): each row holds
// theirs side by side.

#include <algorithm>

#include "layers/embedding_parts.hpp"

namespace gd::layers {

// How many members there are; ValueError unless a value that is read has none yet, or as many.
inline int64_t members_of(const Inputs& inputs, const nn::LayerSpec& spec) {
  const auto members = spec.get<int64_t>("members");
  base::require<base::ValueError>(members >= 2, "members of layer '", spec.name,
                                  "' must be at least 2, got ", members);
  base::require<base::ValueError>(inputs.count() == 1 || inputs.count() == members,
                                  "members of layer '", spec.name, "' must be the ", inputs.count(),
                                  " of its input, got ", members);
  return members;
}

// A factor for each column of each member. `init` is "ones", "normal" or "signs"; with chunks, the
// columns of each chunk start at one number.
inline nn::EntrySpec factors_of(const nn::LayerSpec& spec, const std::string& name, int64_t members,
                                int64_t width, const std::string& init,
                                const std::vector<double>& chunks) {
  using base::require;
  using base::ValueError;
  require<ValueError>(init == "ones" || init == "normal" || init == "signs", "first values of '",
                      name, "' of layer '", spec.name,
                      "' must be one of: ones, normal, signs, got '", init, "'");
  double all = 0;
  for (const double chunk : chunks) all += chunk;
  require<ValueError>(chunks.empty() || all == static_cast<double>(width), "chunks of layer '",
                      spec.name, "' must add up to the columns of its input, ", width, ", got ",
                      all);
  nn::EntrySpec entry = table_of(name, members, width);
  entry.constant = 1;
  if (init == "ones") return entry;
  entry.start = [=](base::RandomStream& random, std::span<const double>, std::span<double> own) {
    const auto draw = [&] {
      return init == "normal" ? random.normal() : random.below(2) == 0 ? -1.0 : 1.0;
    };
    auto to = own.begin();
    while (to != own.end()) {
      if (chunks.empty()) *to++ = draw();
      for (const double chunk : chunks) to = std::fill_n(to, static_cast<size_t>(chunk), draw());
    }
  };
  return entry;
}

// Chunks, where the layer was given any.
inline std::vector<double> chunks_of(const nn::LayerSpec& spec) {
  return spec.has("chunks") ? spec.get<std::vector<double>>("chunks") : std::vector<double>();
}

// How the first factors start: at random where members part, so that they do not stay alike.
inline std::string first_init(const Inputs& inputs, const nn::LayerSpec& spec,
                              const std::string& option) {
  if (spec.has(option)) return spec.get<std::string>(option);
  return inputs.count() == 1 ? "signs" : "ones";
}

// Factors of members at an offset.
struct Factors {
  int64_t offset = 0;
  int64_t members = 1;
  int64_t width = 0;  // of a member
  bool same = false;  // x is one for all members
};

// y = x w, member by member.
template <class T>
plan::Step<T> factors_step(const plan::Builder<T>& b, const Factors& w, plan::Zone phase,
                           plan::ValueId x, plan::ValueId y) {
  const auto zone = phase == plan::Zone::kForward ? plan::Zone::kActivationForward
                                                  : plan::Zone::kActivationBackward;
  auto step = plan::row_step<T>(zone, phase, b.node(), {x}, {y}, 1,
                                [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
                                  const T* const factors = batch.parameters + w.offset;
                                  for (int64_t m = 0; m < w.members; ++m) {
                                    const T* const from = in[0] + (w.same ? 0 : m * w.width);
                                    const T* const by = factors + m * w.width;
                                    T* const to = out[0] + m * w.width;
                                    for (int64_t j = 0; j < w.width; ++j) to[j] = from[j] * by[j];
                                  }
                                });
  step.parameters_read = {w.offset};
  return step;
}

// to = the sum over members of g or, with factors, of g w.
template <class T>
plan::Step<T> members_total_step(const plan::Builder<T>& b, const Factors& w, bool scales,
                                 plan::ValueId g, plan::ValueId to) {
  auto step = plan::row_step<T>(plan::Zone::kAdd, plan::Zone::kBackward, b.node(), {g}, {to}, 2,
                                [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
                                  std::fill_n(out[0], w.width, T{0});
                                  for (int64_t m = 0; m < w.members; ++m) {
                                    const T* const from = in[0] + m * w.width;
                                    if (!scales) {
                                      for (int64_t j = 0; j < w.width; ++j) out[0][j] += from[j];
                                      continue;
                                    }
                                    const T* const by = batch.parameters + w.offset + m * w.width;
                                    for (int64_t j = 0; j < w.width; ++j)
                                      out[0][j] += from[j] * by[j];
                                  }
                                });
  if (scales) step.parameters_read = {w.offset};
  return step;
}

// Backward of y = x w: the gradient at x where it is wanted, and that at w.
template <class T>
void factors_backward(plan::Builder<T>& b, const Factors& w, plan::ValueId gradient) {
  if (b.wants_gradient()) {
    b.give_gradient(0, [&](plan::ValueId to) {
      b.add(w.same ? members_total_step<T>(b, w, true, gradient, to)
                   : factors_step<T>(b, w, plan::Zone::kBackward, gradient, to));
    });
  }
  b.add(plan::column_product_step<T>(b, {gradient, b.input(), w.offset}));
}

}  // namespace gd::layers

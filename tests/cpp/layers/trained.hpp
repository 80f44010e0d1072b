#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "cpp/layers/support.hpp"
#include "optim/elementwise_rule.hpp"

namespace gd::testing {

// A network with Adam and its states, in a plan of training. `more` may change its options.
template <class T>
struct Trained {
  Trained(nn::Network<T> network_, int64_t capacity, int workers, double clip = 0,
          const std::function<void(plan::PlanOptions<T>&)>& more = nullptr)
      : network(std::move(network_)), rule("adam", {0.01, 0.9, 0.999, 1e-8, 0.01, 0}) {
    for (int i = 0; i < rule.states(); ++i) states.push_back(network.make_flat());
    for (auto& state : states) pointers.push_back(state.data());
    auto options = options_of<T>(plan::PlanKind::training, capacity, "mse", workers);
    options.clip_norm = clip;
    options.rule = &rule;
    options.update = {
        {}, network.extents(), network.values(), network.gradients(), pointers.data()};
    if (more) more(options);
    plan = std::make_unique<plan::Plan<T>>(network, options);
  }

  template <class... Order>
  double step(const plan::Batch<T>& batch, const Order&... order) {
    rule.begin_step(0.01, ++steps);
    return plan->step(batch, order...);
  }

  std::vector<T> of(const T* flat) {
    std::vector<T> values(static_cast<size_t>(network.num_parameters()));
    network.to_shapes(flat, values.data());
    return values;
  }
  // Parameters, then states.
  std::vector<T> all() {
    std::vector<T> found = of(network.values());
    for (const T* state : pointers) {
      const std::vector<T> more = of(state);
      found.insert(found.end(), more.begin(), more.end());
    }
    return found;
  }

  nn::Network<T> network;
  optim::ElementwiseRule<T> rule;
  std::vector<base::AlignedBuffer<T>> states;
  std::vector<T*> pointers;
  std::unique_ptr<plan::Plan<T>> plan;
  int64_t steps = 0;
};

}  // namespace gd::testing

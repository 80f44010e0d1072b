#include "plan/operations/update.hpp"

#include "plan/cost_model.hpp"

namespace gd::plan {

namespace {

template <class T>
Cost update_cost(const optim::Rule<T>& rule, int64_t size) {
  Cost cost;
  cost.flops_fixed = update_flops(size, rule.states());
  cost.bytes_fixed = update_bytes(size, rule.states(), sizeof(T));
  return cost;
}

}  // namespace

template <class T>
Update<T>::Update(optim::Rule<T>& rule, const optim::UpdateInput<T>& input, int max_workers)
    : Operation<T>(Zone::kUpdate, Zone::kUpdate, -1, max_workers,
                   update_cost(rule, ops::elements_of(input.extents))),
      rule_(rule),
      input_(input) {}

template <class T>
void Update<T>::work(ops::Worker& worker, const Batch<T>&) {
  rule_.update(worker, this->queue(), input_);
}

template class Update<float>;
template class Update<double>;

}  // namespace gd::plan

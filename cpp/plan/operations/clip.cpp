#include "plan/operations/clip.hpp"

namespace gd::plan {

namespace {

template <class T>
Cost clip_cost(int64_t size) {
  Cost cost;
  cost.flops_fixed = 3 * size;  // squares, their sum, the scaling
  cost.bytes_fixed = 3 * size * static_cast<int64_t>(sizeof(T));
  return cost;
}

}  // namespace

template <class T>
Clip<T>::Clip(T* gradients, const ops::Seen& seen, double max_norm, int max_workers)
    : Operation<T>(Zone::kClip, Zone::kUpdate, -1, max_workers, clip_cost<T>(seen.most_elements())),
      gradients_(gradients),
      seen_(seen),
      max_norm_(max_norm),
      state_(seen.end(), max_workers) {}

template <class T>
void Clip<T>::work(ops::Worker& worker, const Batch<T>&) {
  ops::clip_norm(worker, state_, max_norm_, gradients_, seen_);
}

template class Clip<float>;
template class Clip<double>;

}  // namespace gd::plan

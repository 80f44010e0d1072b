#include "plan/operations/update.hpp"

#include <algorithm>

#include "plan/cost_model.hpp"

namespace gd::plan {

namespace {

template <class T>
Cost update_cost(const optim::Rule<T>& rule, const optim::UpdateInput<T>& input) {
  const int64_t size = ops::elements_of(input.extents);
  Cost cost;
  cost.flops_fixed = update_flops(size, rule.states()) + rule.products(input.spans);
  cost.bytes_fixed = update_bytes(size, rule.states(), sizeof(T));
  return cost;
}

}  // namespace

template <class T>
Update<T>::Update(optim::Rule<T>& rule, const optim::UpdateInput<T>& input, int max_workers)
    : Operation<T>(Zone::kUpdate, Zone::kUpdate, -1, max_workers, update_cost(rule, input)),
      rule_(rule),
      input_(input) {}

template <class T>
void Update<T>::work(ops::Worker& worker, const Batch<T>&) {
  rule_.update(worker, this->queue(), input_);
}

template <class T>
UpdateSeen<T>::UpdateSeen(optim::Rule<T>& rule, const optim::UpdateInput<T>& input,
                          const ops::SparseTables& tables, int max_workers)
    : Operation<T>(Zone::kUpdate, Zone::kUpdate, -1, max_workers, {}),
      rule_(rule),
      input_(input),
      tables_(tables) {
  base::require<base::ValueError>(rule.needs() == optim::RuleNeeds::elementwise,
                                  "an update rule that is not elementwise cannot leave out the "
                                  "rows that a batch has not seen: use sparse=False");
}

template <class T>
void UpdateSeen<T>::work(ops::Worker& worker, const Batch<T>&) {
  constexpr int64_t kRows = 16 * ops::SeenRows::kGranule;
  int64_t pieces = 0;
  for (const auto& table : tables_) pieces += (table->rows() + kRows - 1) / kRows;
  this->queue().for_each(worker, pieces, [&](int64_t piece) {
    auto table = tables_.begin();
    for (;; ++table) {
      const int64_t own = ((*table)->rows() + kRows - 1) / kRows;
      if (piece < own) break;
      piece -= own;
    }
    const int64_t end = std::min((piece + 1) * kRows, (*table)->rows());
    (*table)->for_each(piece * kRows, end, [&](int64_t row) {
      (*table)->for_pieces(row, [&](int64_t begin, int64_t size) {
        rule_.update_piece(input_, begin, {input_.gradients + begin, static_cast<size_t>(size)});
      });
    });
  });
}

template class UpdateSeen<float>;
template class UpdateSeen<double>;
template class Update<float>;
template class Update<double>;

}  // namespace gd::plan

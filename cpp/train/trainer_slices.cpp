// Steps of a trainer whose batches are cut in slices, which ranks may share.

#include <algorithm>
#include <numeric>

#include "base/check.hpp"
#include "plan/cost_model.hpp"
#include "train/batch_of.hpp"
#include "train/trainer.hpp"

namespace gd::train {

using base::require;
using base::ValueError;
using exchange::Node;

template <class T>
void Trainer<T>::make_slices() {
  nn::Network<T>& network = model_->network();
  require<ValueError>(has_loss(), "slices and communicator need a loss of the trainer's, got None");
  require<ValueError>(solver_ == nullptr, "slices and communicator must not be given with '",
                      options_.rule, "', which asks for losses at other weights");
  require<ValueError>(network.sparse().empty(),
                      "slices and communicator must not be given where an Embedding or a Dense is "
                      "sparse: use sparse=False");
  const int64_t least = network.graph().together() == 1 ? 1 : 2;  // a row alone has no spread
  slices_ = std::make_unique<Slices<T>>(exchange::SliceTree(options_.slices, least),
                                        options_.exchange, network.flat_size(), extents_);
  update_.gradients = slices_->sum();
  updates_own_ = slices_->ranks() > 1 && rule_->needs() == optim::RuleNeeds::elementwise &&
                 clipping().by == plan::ClipBy::none;
  state_before_ = base::AlignedBuffer<T>(network.state_size());
}

template <class T>
void Trainer<T>::run_slices(plan::Plan<T>& plan, plan::Batch<T> batch, const BatchRows& of,
                            exchange::Node node, std::span<T* const> buffers, double* figures) {
  nn::Network<T>& network = model_->network();
  const parallel::Range rows = slices_->tree().rows(node, of.rows);
  const int64_t here =
      rows.begin - (of.has_all ? 0 : slices_->tree().rows(slices_->own(), of.rows).begin);
  batch.draw.first_row = rows.begin;
  std::copy_n(state_before_.data(), network.state_size(), network.state());
  std::span<const int64_t> own;
  if (of.indices != nullptr) {
    own = of.indices->subspan(static_cast<size_t>(here), static_cast<size_t>(rows.size()));
  } else {
    batch = batch.rows_from(here, rows.size());
  }
  if (plan.takes_slices() && rows.size() <= plan.capacity()) {
    const plan::Slicing<T> slicing{slices_->tree(), node, of.rows, buffers};
    plan.add_slices(batch, of.indices == nullptr ? nullptr : &own, slicing);
    return add_losses(plan, slicing, node, figures);
  }
  plan.set_gradients(buffers.front());
  figures[0] = of.indices != nullptr ? plan.add_losses(batch, own, 0) : plan.add_losses(batch, 0);
  double* const sums = std::ranges::copy(plan.head_sums(), figures + 1).out;
  if (!plan.takes_slices()) std::copy_n(network.state(), network.state_size(), sums);
}

template <class T>
void Trainer<T>::add_losses(plan::Plan<T>& plan, const plan::Slicing<T>& slicing,
                            exchange::Node node, double* figures) {
  using exchange::SliceTree;
  const auto rows = [&](exchange::Node of) {
    const parallel::Range own = slicing.tree.rows(of, slicing.batch_rows);
    const int64_t first = slicing.rows().begin;
    return parallel::Range{own.begin - first, own.end - first};
  };
  if (node.is_leaf()) {
    figures[0] = plan.loss_of(rows(node));
    std::ranges::copy(plan.head_sums(), figures + 1);
    return;
  }
  const exchange::Node left = SliceTree::left(node);
  const exchange::Node right = SliceTree::right(node);
  if (rows(right).empty()) return add_losses(plan, slicing, left, figures);
  if (rows(left).empty()) return add_losses(plan, slicing, right, figures);
  add_losses(plan, slicing, left, figures);
  std::vector<double> beside(1 + plan.head_sums().size());
  add_losses(plan, slicing, right, beside.data());
  for (size_t f = 0; f < beside.size(); ++f) figures[f] += beside[f];
}

template <class T>
double Trainer<T>::step_in_slices(plan::Plan<T>& plan, const plan::Batch<T>& data,
                                  const BatchRows& of) {
  nn::Network<T>& network = model_->network();
  const size_t heads = heads_ ? heads_->size() : 0;
  // Where rows go through by themselves, nothing that is kept changes.
  const auto kept = static_cast<size_t>(plan.takes_slices() ? 0 : network.state_size());
  std::copy_n(network.state(), network.state_size(), state_before_.data());
  const int64_t at_once = plan.takes_slices() ? plan.capacity() : 0;
  slices_->add_own(of.rows, 1 + heads + kept, threads(), at_once,
                   [&](exchange::Node node, std::span<T* const> buffers, double* figures) {
                     run_slices(plan, data, of, node, buffers, figures);
                   });
  std::copy_n(state_before_.data(), network.state_size(), network.state());
  const std::span<const double> sums = slices_->add_figures(of.rows);
  // Each slice has gone on from the same: what is kept is the mean of what they came to.
  const auto slices = static_cast<double>(slices_->tree().slices_with_rows(of.rows));
  for (size_t i = 0; i < kept; ++i)
    network.state()[i] = static_cast<T>(sums[1 + heads + i] / slices);
  first_sums_.assign(sums.begin() + 1, sums.begin() + 1 + static_cast<int64_t>(heads));
  if (slices_->ranks() > 1) {
    add_pieces(of.rows);
  } else {
    update_sum(of.rows);
  }
  return sums[0] / data.weight_sum;
}

// Of several ranks: this one's piece of the sum, and what comes of it.
template <class T>
void Trainer<T>::add_pieces(int64_t rows) {
  if (!updates_own_) {
    slices_->add_pieces(rows, threads(), [&](int64_t begin, std::span<const T> sum) {
      if (sum.data() != slices_->sum() + begin) std::ranges::copy(sum, slices_->sum() + begin);
    });
    slices_->share(slices_->sum());
    return update_sum(rows);
  }
  slices_->add_pieces(rows, threads(), [&](int64_t begin, std::span<const T> sum) {
    const auto size = static_cast<int64_t>(sum.size());
    ops::for_extents(dense_extents_, {begin, begin + size}, [&](parallel::Range run) {
      const std::span<const T> own(sum.data() + (run.begin - begin),
                                   static_cast<size_t>(run.size()));
      rule_->update_piece(update_, run.begin, own);
    });
  });
  slices_->share(update_.weights);
  states_behind_ = true;
  model_->network().note_change();
}

template <class T>
void Trainer<T>::update_sum(int64_t rows) {
  nn::Network<T>& network = model_->network();
  make_apply();
  const int workers = std::max(plan::update_workers(network.flat_size(), states(), apply_threads_),
                               plan::workers_for(rule_->products(spans_), apply_threads_));
  apply_->reset();
  if (clip_) clip_->reset();
  plan::Batch<T> batch;
  batch.rows = rows;
  ops::run_collective(*parallel::acquire_team(workers), [&](ops::Worker& worker) {
    if (clip_) {
      clip_->run(worker, batch);
      worker.barrier();
    }
    apply_->run(worker, batch);
  });
  network.note_change();
}

template <class T>
void Trainer<T>::share_states() {
  if (!states_behind_) return;
  for (T* state : state_pointers_) slices_->share(state);
  states_behind_ = false;
}

template <class T>
double Trainer<T>::compute_gradients(const Dataset& batch, double weight_sum, int64_t first_row) {
  require<ValueError>(!slices_,
                      "slices must be None where gradients are asked for without an update");
  require<ValueError>(model_->description().sparse().empty(),
                      "gradients of an Embedding or a Dense that is sparse are not whole");
  prepare(batch);
  const profiling::Region region(profiling::RegionKind::step, profiling::Zone::kCaller,
                                 work(batch.size()));
  const std::lock_guard<parallel::ForkSafeMutex> lock(model_->mutex());
  const ops::KernelScope scope;
  const int64_t rows = rows_at_once(batch.size());
  if (gradients_ == nullptr || gradients_->capacity() < rows ||
      gradients_->max_workers() != threads()) {
    plan::PlanOptions<T> options = training_options(rows, false);
    options.updates = false;
    gradients_ = std::make_unique<plan::Plan<T>>(model_->network(), options);
  }
  model_->network().set_gradients_valid(false);
  plan::Batch<T> made = this->batch(batch, weigh(batch));
  if (weight_sum > 0) made.weight_sum = weight_sum;
  made.draw = draw();
  made.draw.first_row = first_row;
  const double loss = gradients_->add_losses(made, 0) / made.weight_sum;
  model_->network().set_gradients_valid(true);
  return loss;
}

template <class T>
void Trainer<T>::with_flat(bool gradients, base::FunctionRef<void(T*, int64_t)> call) {
  nn::Network<T>& network = model_->network();
  {
    const std::lock_guard<parallel::ForkSafeMutex> lock(model_->mutex());
    require<base::StateError>(!gradients || network.gradients_valid(),
                              "there are no gradients: call compute_gradients or backward before");
  }
  call(gradients ? network.gradients() : network.values(), network.flat_size());
  if (gradients) return;
  const std::lock_guard<parallel::ForkSafeMutex> lock(model_->mutex());
  network.note_change();
}

// ---- weights ----

template <class T>
double Trainer<T>::weigh_apart(const Dataset& data, const BatchRows& of) {
  if (slices_) return weigh_slices(data, of);
  return of.indices != nullptr ? heads_->weigh(data, *of.indices) : heads_->weigh(data);
}

template <class T>
void Trainer<T>::weigh_slice(const Dataset& data, const BatchRows& of, int slice, double* to) {
  const parallel::Range rows = slices_->tree().rows({slice, slice + 1}, of.rows);
  const auto weigh = [&](const Dataset& own) {
    if (of.indices == nullptr) return sum_of_weights(own.rows(rows.begin, rows.size()));
    return sum_of_weights(own, of.indices->subspan(static_cast<size_t>(rows.begin),
                                                   static_cast<size_t>(rows.size())));
  };
  if (!heads_) {
    *to = weigh(data);
    return;
  }
  for (size_t h = 0; h < heads_->size(); ++h) to[h] = weigh(rows_of_head(data, h));
}

template <class T>
double Trainer<T>::weigh_slices(const Dataset& data, const BatchRows& of) {
  const size_t columns = weights_a_batch();
  const auto slices = static_cast<size_t>(options_.slices);
  std::vector<double> own;
  const double* from = weights_here_.data() + static_cast<size_t>(of.number) * slices * columns;
  if (of.has_all) {
    own.resize(slices * columns);
    for (int slice = 0; slice < options_.slices; ++slice) {
      weigh_slice(data, of, slice, own.data() + static_cast<size_t>(slice) * columns);
    }
    from = own.data();
  }
  std::vector<double> sums(columns);
  for (size_t c = 0; c < columns; ++c) {
    sums[c] = slices_->tree().sum(
        [&](int slice) { return from[static_cast<size_t>(slice) * columns + c]; });
  }
  return heads_ ? heads_->weigh(data, sums) : sums[0];
}

template <class T>
void Trainer<T>::share_part(const Dataset& data, const data::BatchSampler& sampler) {
  require<ValueError>(slices_ != nullptr, "rows are apart only where batches are cut in slices");
  const auto columns = static_cast<int64_t>(weights_a_batch());
  const int64_t batches = sampler.batches();
  order_here_.resize(static_cast<size_t>(data.size()));
  std::iota(order_here_.begin(), order_here_.end(), int64_t{0});
  begins_here_.clear();
  // (slices, batches, heads) as they are shared; then by batches.
  std::vector<double> shared(static_cast<size_t>(options_.slices * batches * columns));
  const Node own = slices_->own();
  int64_t done = 0;
  for (int64_t i = 0; i < batches; ++i) {
    begins_here_.push_back(done);
    const int64_t rows = sampler.batch_rows(i);
    const int64_t count = slices_->tree().rows(own, rows).size();
    require<ValueError>(done + count <= data.size(), "a part must have the rows of all slices of ",
                        "this rank, got ", data.size());
    // The rows before those of this rank's slices are others'.
    const Dataset here = data.rows(done, count);
    done += count;
    for (int slice = own.begin; slice < own.end; ++slice) {
      const parallel::Range range = slices_->tree().rows({slice, slice + 1}, rows);
      const int64_t first = range.begin - slices_->tree().rows(own, rows).begin;
      double* const to = shared.data() + (slice * batches + i) * columns;
      const Dataset part = here.rows(first, range.size());
      if (!heads_) to[0] = sum_of_weights(part);
      for (size_t h = 0; heads_ && h < heads_->size(); ++h) {
        to[h] = sum_of_weights(rows_of_head(part, h));
      }
    }
  }
  slices_->share_numbers(shared, static_cast<size_t>(batches * columns));
  weights_here_.resize(shared.size());
  for (int64_t slice = 0; slice < options_.slices; ++slice) {
    for (int64_t i = 0; i < batches; ++i) {
      std::copy_n(shared.data() + (slice * batches + i) * columns, columns,
                  weights_here_.data() + (i * options_.slices + slice) * columns);
    }
  }
}

template <class T>
std::span<const int64_t> Trainer<T>::rows_here(int64_t batch, int64_t rows) {
  const int64_t count = slices_->tree().rows(slices_->own(), rows).size();
  return {order_here_.data() + begins_here_[static_cast<size_t>(batch)],
          static_cast<size_t>(count)};
}

#define GD_INSTANTIATE(T)                                                           \
  template void Trainer<T>::make_slices();                                          \
  template double Trainer<T>::step_in_slices(plan::Plan<T>&, const plan::Batch<T>&, \
                                             const BatchRows&);                     \
  template double Trainer<T>::compute_gradients(const Dataset&, double, int64_t);   \
  template void Trainer<T>::with_flat(bool, base::FunctionRef<void(T*, int64_t)>);  \
  template void Trainer<T>::share_states();                                         \
  template double Trainer<T>::weigh_apart(const Dataset&, const BatchRows&);        \
  template double Trainer<T>::weigh_slices(const Dataset&, const BatchRows&);       \
  template void Trainer<T>::share_part(const Dataset&, const data::BatchSampler&);  \
  template std::span<const int64_t> Trainer<T>::rows_here(int64_t, int64_t);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::train

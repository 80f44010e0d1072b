#include "plan/plan.hpp"

#include <algorithm>

#include "parallel/partition.hpp"
#include "plan/clip_operation.hpp"
#include "plan/cost_model.hpp"
#include "plan/dense_operations.hpp"
#include "plan/loss_operation.hpp"
#include "plan/update_operation.hpp"
#include "profiling/recorder.hpp"

namespace gd::plan {

bool loss_takes_logits_of_softmax(const std::string& loss, const std::string& activation) {
  return loss == "cross_entropy" && activation == "softmax";
}

// Lays out the arena and lists the operations. Runs twice over the same code: the first time
// without memory, to learn its size.
template <class T>
class Plan<T>::Compiler {
 public:
  Compiler(Plan& plan, nn::Network<T>& network)
      : plan_(plan), network_(network), options_(plan.options_) {}

  void compile() {
    plan_.network_ = &network_;
    plan_.flat_size_ = network_.flat_size();
    if (differentiates()) plan_.gradients_ = network_.gradients();
    base::require<base::ValueError>(
        options_.rule == nullptr || options_.rule->needs() != ops::RuleNeeds::closure,
        "an update rule that asks for losses at other weights cannot be part of a step");
    plan_.fuses_update_ = options_.kind == PlanKind::training && options_.clip_norm == 0 &&
                          options_.rule->needs() == ops::RuleNeeds::elementwise;
    layout();
    plan_.arena_ = base::AlignedBuffer<T>(used_);
    base_ = plan_.arena_.data();
    if constexpr (nn::kChecksGaps) std::fill_n(base_, used_, nn::gap_pattern<T>());
    used_ = 0;
    contexts_.clear();
    layout();
    if (options_.gathers) gather();
    forward();
    if (has_loss()) loss();
    if (differentiates()) backward();
    plan_.update_begin_ = plan_.operations_.size();
    if (options_.kind == PlanKind::training) {
      if (options_.clip_norm > 0) {
        add<Clip<T>>(network_.gradients(), network_.extents(), options_.clip_norm,
                     options_.max_workers);
      }
      add<Update<T>>(*options_.rule, options_.update, network_.num_parameters(),
                     options_.max_workers);
    }
    for (const auto& operation : plan_.operations_) {
      name(*operation);
      plan_.flops_a_row_ += operation->cost().flops_a_row;
      plan_.flops_fixed_ += operation->cost().flops_fixed;
    }
  }

  // The arena's parts, without the arena.
  PlanMemory measure() {
    plan_.flat_size_ = network_.flat_size();
    layout();
    return memory_;
  }

 private:
  bool differentiates() const {
    return options_.kind != PlanKind::inference && options_.kind != PlanKind::evaluation;
  }
  // Of batches shared by samples: the first worker adds to the whole gradient at once.
  int64_t most_partial_gradients() const {
    int64_t most = 0;
    for (int64_t rows = 1; rows < 2 * options_.capacity; rows *= 2) {
      const int64_t size = std::min(rows, options_.capacity);
      if (plan_.schedule(size).sharing != Sharing::by_samples) continue;
      const int64_t part = plan_.part_of(size);
      most = std::max(most, (size + part - 1) / part - 1);
    }
    return most;
  }
  int most_products(const nn::LayerView& view) const {
    return ops::bf16_products(options_.precision, options_.capacity, view.units, view.inputs);
  }
  bool has_loss() const {
    return options_.kind != PlanKind::inference && options_.kind != PlanKind::differentiable;
  }

  static int64_t stride_of(int64_t cols) { return buffer_stride(cols, sizeof(T)); }

  T* take(int64_t rows, int64_t cols) {
    const int64_t size = base::checked_product(rows, cols, "elements of a batch's buffer");
    T* const at = base_ == nullptr ? nullptr : base_ + used_;
    base::require<base::ValueError>(!__builtin_add_overflow(used_, base::padded<T>(size), &used_),
                                    "the buffers of a batch of ", options_.capacity,
                                    " samples do not fit into memory");
    return at;
  }

  int64_t bytes_used() const { return used_ * static_cast<int64_t>(sizeof(T)); }

  ActivationUse<T> activation_of(size_t layer) const {
    const nn::DenseSpec& spec = network_.layers()[layer];
    const bool last = layer + 1 == network_.layers().size();
    ActivationUse<T> use;
    if (spec.activation == "identity") return use;
    if (last && has_loss() && loss_takes_logits_of_softmax(options_.loss.name, spec.activation)) {
      return use;
    }
    use.kernel = &ops::find_activation<T>(spec.activation);
    use.parameters = ops::FormulaParameters<T>(spec.activation_parameters);
    return use;
  }

  void layout() {
    const auto& views = network_.views();
    const int64_t capacity = options_.capacity;
    int64_t widest = 0;
    for (const nn::LayerView& view : views) widest = std::max(widest, stride_of(view.units));

    ops::GemmScratch<T> scratch;
    for (const nn::LayerView& view : views) {
      for (const int products : {0, most_products(view)}) {
        const auto cover = [&](int64_t m, int64_t n, int64_t k) {
          scratch.size.cover(ops::gemm_scratch_size<T>(m, n, k, products));
        };
        cover(capacity, view.units, view.inputs);
        if (view.lies_as_it_is) {
          cover(view.units, view.inputs, capacity);
        } else {
          cover(view.inputs, view.units, capacity);
        }
        cover(capacity, view.inputs, view.units);
      }
    }
    scratch.data = take(options_.max_workers, scratch.size.all());
    memory_.packing = bytes_used();
    // Backward needs every output; inference needs the last one only, so two buffers take turns. Of
    // the gradients at the outputs three do: while one is read for an input gradient and the next
    // is written, the one before may still be read for a weight gradient.
    T* turns[2] = {};
    T* deltas[3] = {};
    if (differentiates()) {
      for (T*& delta : deltas) delta = take(capacity, widest);
    } else {
      for (T*& turn : turns) turn = take(capacity, widest);
    }

    const T* input = nullptr;
    for (size_t i = 0; i < views.size(); ++i) {
      const nn::LayerView& view = views[i];
      const ActivationUse<T> activation = activation_of(i);
      DenseContext<T> context{
          view, {}, static_cast<int>(i), options_.max_workers, scratch, options_.precision};
      LayerBuffers<T>& buffers = context.buffers;
      buffers.input = input;
      buffers.stride = stride_of(view.units);
      buffers.input_stride = stride_of(view.inputs);
      buffers.output = differentiates() ? take(capacity, buffers.stride) : turns[i % 2];
      const bool keeps_z =
          differentiates() && activation.kernel != nullptr && !activation.kernel->from_output;
      buffers.z = keeps_z ? take(capacity, buffers.stride) : buffers.output;
      buffers.delta_row = widest;
      buffers.delta = deltas[i % 3];
      buffers.input_delta = i == 0 ? nullptr : deltas[(i - 1) % 3];
      contexts_.push_back(context);
      input = buffers.output;
    }
    plan_.outputs_ = contexts_.back().shape.units;
    plan_.output_stride_ = contexts_.back().buffers.stride;
    plan_.output_ = contexts_.back().buffers.output;
    plan_.output_gradient_ = contexts_.back().buffers.delta;
    if (has_loss()) plan_.sample_loss_ = take(1, capacity);
    memory_.activations = bytes_used() - memory_.packing;
    if (options_.kind == PlanKind::training && options_.max_workers > 1) {
      plan_.partials_ = most_partial_gradients();
      plan_.partial_ = take(plan_.partials_, plan_.flat_size_);
    }
    memory_.gradients = bytes_used() - memory_.packing - memory_.activations;
    replicas();
    memory_.replicas = bytes_used() - memory_.packing - memory_.activations - memory_.gradients;
    if (options_.gathers) {
      gathered_.x = take(capacity, network_.input_size());
      gathered_.target = take(capacity, network_.output_size());
      gathered_.weights = take(1, capacity);
    }
    memory_.batch =
        bytes_used() - memory_.packing - memory_.activations - memory_.gradients - memory_.replicas;
  }

  // Where the first update follows the first gradients: not with clipping.
  void replicas() {
    if (options_.kind != PlanKind::training || options_.clip_norm > 0) return;
    const int64_t others = std::min<int64_t>(options_.max_workers - 1, most_partial_gradients());
    const int workers = static_cast<int>(others) + 1;
    T* const memory = take(1, Replicas<T>::size(workers, plan_.flat_size_));
    if (base_ == nullptr || workers == 1) return;
    plan_.replicas_ = Replicas<T>(memory, workers, plan_.flat_size_);
    plan_.own_pieces_.assign(static_cast<size_t>(workers),
                             OwnPieces(plan_.flat_size_ / kLeastElementsAdded + 1));
  }

  void gather() {
    auto gather = std::make_unique<Gather<T>>(network_.input_size(), network_.output_size(),
                                              options_.capacity, gathered_, options_.max_workers);
    plan_.gather_ = gather.get();
    plan_.operations_.push_back(std::move(gather));
  }

  void forward() {
    plan_.forward_begin_ = plan_.operations_.size();
    for (size_t i = 0; i < contexts_.size(); ++i) {
      const ActivationUse<T> activation = activation_of(i);
      add<DenseForward<T>>(contexts_[i], activation);
      if (activation.kernel != nullptr && activation.kernel->row_wise) {
        add<ActivationForward<T>>(contexts_[i], activation);
      }
    }
    plan_.forward_end_ = plan_.operations_.size();
  }

  void loss() {
    T* const gradient = differentiates() ? plan_.output_gradient_ : nullptr;
    add<Loss<T>>(ops::find_loss<T>(options_.loss.name), options_.loss.parameters, plan_.outputs_,
                 plan_.output_stride_, plan_.output_, plan_.sample_loss_, gradient,
                 contexts_.back().buffers.delta_row, options_.max_workers);
  }

  void backward() {
    for (size_t i = contexts_.size(); i-- > 0;) {
      const DenseContext<T>& context = contexts_[i];
      const ActivationUse<T> activation = activation_of(i);
      const bool last = i + 1 == contexts_.size();
      // Elsewhere the matmul that made delta has already multiplied by the derivative.
      if (activation.kernel != nullptr && (last || activation.kernel->row_wise)) {
        add<ActivationBackward<T>>(context, activation);
      }
      // First the gradient at the input: it needs the weights as they were, which the weight
      // gradient's pass may update.
      if (i > 0) {
        const ActivationUse<T> before = activation_of(i - 1);
        add<InputGradient<T>>(context, before, saved_of(i - 1, before));
      } else if (options_.kind == PlanKind::differentiable) {
        add<InputGradient<T>>(context, ActivationUse<T>{}, nullptr);
      }
      // The layer before reads none of what these write.
      add<WeightGradient<T>>(context).set_barrier_after(false);
      if (context.shape.bias >= 0) add<BiasGradient<T>>(context).set_barrier_after(false);
    }
    plan_.operations_.back()->set_barrier_after(true);
  }

  const T* saved_of(size_t layer, const ActivationUse<T>& activation) const {
    if (activation.kernel == nullptr) return nullptr;
    const LayerBuffers<T>& buffers = contexts_[layer].buffers;
    return activation.kernel->from_output ? buffers.output : buffers.z;
  }

  // As a recording shows it.
  void name(Operation<T>& operation) const {
    const auto layer = static_cast<size_t>(operation.layer());
    const std::string name = operation.layer() < 0 ? "" : network_.layers()[layer].name;
    const std::string plain = sizeof(T) == sizeof(float) ? "float32" : "float64";
    const int products = operation.products(options_.capacity);
    operation.set_names(name, products == 0   ? plain
                              : products == 1 ? "bfloat16"
                                              : base::message(products, " x bfloat16"));
    if (!plan_.fuses_update_ || operation.updates() == 0) return;
    const int states = options_.rule->states();
    const int64_t size = operation.updates();
    const int64_t gradient = size * int64_t{sizeof(T)};  // stays in the cache
    operation.set_update(
        name, plain, {update_flops(size, states), update_bytes(size, states, sizeof(T)) - gradient},
        gradient);
  }

  template <class Op, class... Args>
  Operation<T>& add(Args&&... args) {
    plan_.operations_.push_back(std::make_unique<Op>(std::forward<Args>(args)...));
    return *plan_.operations_.back();
  }

  Plan& plan_;
  nn::Network<T>& network_;
  const PlanOptions<T>& options_;
  T* base_ = nullptr;
  int64_t used_ = 0;
  PlanMemory memory_;
  std::vector<DenseContext<T>> contexts_;
  GatherBuffers<T> gathered_;
};

template <class T>
Plan<T>::Plan(nn::Network<T>& network, const PlanOptions<T>& options) : Plan(options) {
  Compiler(*this, network).compile();
}

template <class T>
PlanMemory Plan<T>::memory(nn::Network<T>& network, const PlanOptions<T>& options) {
  Plan plan(options);
  return Compiler(plan, network).measure();
}

template <class T>
int64_t Plan<T>::flops(int64_t rows) const {
  return flops_a_row_ * rows + flops_fixed_;
}

template <class T>
Schedule Plan<T>::schedule(int64_t rows) const {
  const int64_t flops = this->flops(rows);
  if (options_.kind != PlanKind::training) {
    return {workers_for(flops, options_.max_workers), Sharing::by_tiles};
  }
  return choose_schedule({rows, flops, flat_size_, part_of(rows)}, options_.max_workers);
}

template <class T>
void Plan<T>::run(size_t first, size_t last, const Batch<T>& batch, parallel::Team& team) {
  const auto body = [&](ops::Worker& worker) {
    for (size_t i = first; i < last; ++i) {
      Operation<T>& operation = *operations_[i];
      operation.run(worker, batch);
      if (operation.barrier_after() && i + 1 < last) worker.barrier();
    }
  };
  if (team.size() == 1) {
    const ops::KernelScope scope;
    ops::Worker alone(profiling::current_lane());
    if (alone.lane() != nullptr) alone.lane()->lap(profiling::zone_id(Zone::kStep));
    body(alone);
    return;
  }
  for (size_t i = first; i < last; ++i) operations_[i]->reset();
  ops::run_collective(team, body);
}

template <class T>
void Plan<T>::run_in_stages(size_t first, size_t last, const Batch<T>& batch,
                            parallel::Team& team) {
  parallel::Team alone;
  while (first < last) {
    size_t end = first;
    bool meets = false;
    do {
      meets = meets || operations_[end]->meets(batch, team.size());
    } while (!operations_[end++]->barrier_after() && end < last);
    if (meets) {
      run(first, end, batch, team.all_here(kPatienceForStage) ? team : alone);
    } else {
      for (size_t i = first; i < end; ++i) operations_[i]->reset();
      ops::offer_collective(team, [&](ops::Worker& worker) {
        for (size_t i = first; i < end; ++i) operations_[i]->run(worker, batch);
      });
    }
    first = end;
  }
}

template <class T>
void Plan<T>::forward(Batch<T> batch) {
  batch.rows_together = batch.rows;
  batch.parameters = network_->values();
  run(forward_begin_, forward_end_, batch, *parallel::acquire_team(workers_by_tiles(batch.rows)));
}

template <class T>
void Plan<T>::backward(Batch<T> batch) {
  batch.rows_together = batch.rows;
  batch.part = part_of(batch.rows);
  batch.parameters = network_->values();
  batch.gradients = gradients_;
  run(forward_end_, operations_.size(), batch,
      *parallel::acquire_team(workers_by_tiles(batch.rows)));
}

template <class T>
int64_t Plan<T>::rows_at_once(int64_t begin, int64_t rows) const {
  return std::min({capacity(), rows - begin, ops::kLongSum - begin % ops::kLongSum});
}

// Sums over a batch begin anew as those of one long matmul do, see ops/gemm.hpp.
template <class T>
bool Plan<T>::goes_on(Place place) {
  if (gradients_ == nullptr || place.begin == 0 || place.begin % ops::kLongSum != 0) {
    return place.begin > 0;
  }
  const bool is_last = place.begin >= place.rows - ops::kLongSum;
  const ops::Extents extents = network_->extents();
  if (place.begin == ops::kLongSum) {
    if (is_last) return true;
    if (sums_.size() == 0) sums_ = network_->make_flat();
    ops::copy_extents<T>(extents, gradients_, sums_.data());
    return false;
  }
  T* const to = is_last ? gradients_ : sums_.data();
  const ops::KernelScope scope;
  for (const parallel::Range& run : extents) {
    const std::span<const T> sum(sums_.data() + run.begin, static_cast<size_t>(run.size()));
    ops::add_parts<T>(sum, gradients_ + run.begin, 0, 1, to + run.begin);
  }
  return is_last;
}

template <class T>
double Plan<T>::step(const Batch<T>& batch) {
  return add_losses(batch, 0) / batch.weight_sum;
}

template <class T>
double Plan<T>::step(const Batch<T>& batch, std::span<const int64_t> indices) {
  const auto rows = static_cast<int64_t>(indices.size());
  double sum = 0;
  for (int64_t begin = 0; begin < rows; begin += capacity()) {
    const int64_t count = rows_at_once(begin, rows);
    const auto chosen = indices.subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
    sum = run_piece(0, gather_->prepare(batch, chosen), {begin, rows}, sum);
  }
  return sum / batch.weight_sum;
}

template <class T>
double Plan<T>::add_losses(const Batch<T>& batch, double start) {
  double sum = start;
  for (int64_t begin = 0; begin < batch.rows; begin += capacity()) {
    const int64_t count = rows_at_once(begin, batch.rows);
    sum = run_piece(forward_begin_, batch.rows_from(begin, count), {begin, batch.rows}, sum);
  }
  return sum;
}

template <class T>
void Plan<T>::check_gaps() const {
  const auto check = [&](const T* flat, const char* what) {
    if (flat != nullptr) nn::check_gaps(network_->extents(), flat_size_, flat, what);
  };
  check(network_->values(), "parameters");
  check(gradients_, "gradients");
  for (int64_t p = 0; p < partials_; ++p) check(partial_ + p * flat_size_, "gradient of a part");
  if (options_.kind != PlanKind::training) return;
  for (int i = 0; i < options_.rule->states(); ++i) check(options_.update.states[i], "states");
  for (int i = 1; i < replicas_.workers(); ++i) check(replicas_.of(i), "replicas");
}

template <class T>
double Plan<T>::run_piece(size_t first, Batch<T> piece, Place place, double start) {
  const bool is_first = place.begin == 0;
  const bool is_last = place.begin + piece.rows == place.rows;
  piece.rows_together = piece.rows;
  piece.part = part_of(place.rows);
  piece.parameters = network_->values();
  piece.gradients = gradients_;
  piece.accumulate = goes_on(place) || (is_first && piece.accumulate);
  const Schedule schedule = this->schedule(piece.rows);
  parallel::Team alone;
  parallel::TeamLease lease;
  parallel::Team* team = &alone;
  bool in_stages = false;
  if (schedule.workers > 1) {
    lease = parallel::acquire_team(schedule.workers);
    const int64_t flops = this->flops(piece.rows);
    in_stages =
        lease->size() == 2 && schedule.sharing == Sharing::by_tiles && flops >= kLeastFlopsInStages;
    if (in_stages || lease->all_here(patience_for(flops))) team = &*lease;
  }
  const auto run_operations = [&](size_t last) {
    in_stages ? run_in_stages(first, last, piece, *team) : run(first, last, piece, *team);
  };
  const bool by_samples = schedule.sharing == Sharing::by_samples && team->size() > 1;
  if (by_samples && fuses_update_ && is_first && is_last) {
    run_on_replicas(first, piece, *team);
  } else if (by_samples) {
    run_by_samples(first, piece, *team, is_last);
  } else if (fuses_update_ && is_first && is_last) {
    piece.rule = options_.rule;
    piece.update = &options_.update;
    run_operations(update_begin_);
  } else {
    run_operations(is_last ? operations_.size() : update_begin_);
  }
  if (is_last && options_.kind == PlanKind::training) network_->note_change();
  if constexpr (nn::kChecksGaps) check_gaps();
  const std::span<const T> losses(sample_loss_, static_cast<size_t>(piece.rows));
  return ops::weighted_sum<T>(losses, piece.weights, start);
}

template class Plan<float>;
template class Plan<double>;

}  // namespace gd::plan

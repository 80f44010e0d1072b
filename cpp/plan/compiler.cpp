#include "plan/compiler.hpp"

#include <algorithm>

#include "plan/cost_model.hpp"
#include "plan/operations/clip.hpp"
#include "plan/operations/derivative_loss.hpp"
#include "plan/operations/head_losses.hpp"
#include "plan/operations/loss.hpp"
#include "plan/operations/update.hpp"

namespace gd::plan {

namespace {

template <class T>
BuildOptions build_options(const PlanOptions<T>& options) {
  const bool updates = options.kind == PlanKind::training;
  BuildOptions made{options.kind,
                    options.capacity,
                    options.max_workers,
                    options.precision,
                    options.loss.name,
                    updates ? options.update.extents : ops::Extents(),
                    {},
                    options.elements,
                    options.elements_a_row,
                    !options.updates,
                    static_cast<int64_t>(options.derivative_weights.size())};
  for (const HeadLoss& head : options.loss.heads) made.head_losses.push_back(head.name);
  return made;
}

template <class T>
int64_t stride_of(int64_t cols) {
  return buffer_stride(cols, sizeof(T));
}

}  // namespace

template <class T>
Plan<T>::Compiler::Compiler(Plan& plan, nn::Network<T>& network)
    : plan_(plan),
      network_(network),
      options_(plan.options_),
      builder_(network, build_options(options_), options_.lowerings) {
  plan_.network_ = &network_;
  if (options_.kind == PlanKind::training) {
    plan_.dense_extents_ = ops::common(options_.update.extents, network_.dense_extents());
  }
  plan_.flat_size_ = network_.flat_size();
  const size_t heads = options_.loss.heads.size();
  base::require<base::ValueError>(heads == 0 || heads == network.graph().heads.size(),
                                  "a network of ", network.graph().heads.size(),
                                  " heads takes as many losses, got ", heads);
  plan_.head_sums_.resize(options_.derivative_weights.empty() ? heads : kDerivativeFigures);
  plan_.together_ = builder_.is_training() ? network_.graph().together() : 1;
  plan_.by_tiles_ = options_.kind != PlanKind::training || network_.graph().needs_tiles();
  steps();
  passes::prune<T>(builder_.values(), steps_, [&](int64_t at) { return builder_.trains(at); });
  passes::drops(steps_);
  const auto by_tiles = [](const Step<T>& step) { return step.by_tiles; };
  plan_.by_tiles_ = plan_.by_tiles_ || std::ranges::any_of(steps_, by_tiles);
  passes::fuse(steps_);
  passes::barriers(steps_);
  slots_ = passes::slots(builder_.values(), steps_);
}

template <class T>
void Plan<T>::Compiler::compile() {
  if (differentiates(options_.kind) && options_.kind != PlanKind::derivative) {
    plan_.gradients_ = network_.gradients();
  }
  plan_.fuses_update_ = options_.kind == PlanKind::training && options_.updates &&
                        !options_.clips() && options_.rule->needs() == ops::RuleNeeds::elementwise;
  layout();
  plan_.arena_ = base::AlignedBuffer<T>(used_);
  base_ = plan_.arena_.data();
  if (nn::checks_gaps) std::fill_n(base_, used_, nn::gap_pattern<T>());
  used_ = 0;
  layout();
  make_operations();
}

template <class T>
PlanMemory Plan<T>::Compiler::measure() {
  layout();
  return memory_;
}

// ---- steps ----

template <class T>
void Plan<T>::Compiler::steps() {
  builder_.build(
      [&](ValueId output, ValueId gradient) { builder_.add(loss_step(output, gradient)); });
  steps_ = std::move(builder_.steps());
  if (options_.gathers) steps_.insert(steps_.begin(), gather_step());
  if (options_.kind != PlanKind::training || !options_.updates) return;
  if (options_.clips()) steps_.push_back(clip_step());
  // Who asks for losses at other weights gets gradients, and updates by itself.
  if (options_.rule != nullptr && options_.rule->needs() == ops::RuleNeeds::closure) return;
  steps_.push_back(update_step());
  if (!network_.sparse().empty()) steps_.push_back(update_seen_step());
}

template <class T>
Step<T> Plan<T>::Compiler::gather_step() {
  Step<T> step{Zone::kGather, Zone::kData};
  step.make = [this](const Step<T>&, const Places<T>&) -> std::unique_ptr<Operation<T>> {
    std::vector<int64_t> heads;
    for (const nn::Head& head : network_.graph().heads) {
      if (!options_.loss.heads.empty()) heads.push_back(network_.graph().width(head.node));
    }
    auto gather = std::make_unique<Gather<T>>(network_.input_size(), target_cols(), heads,
                                              options_.capacity, gathered_, options_.max_workers);
    plan_.gather_ = gather.get();
    return gather;
  };
  return step;
}

template <class T>
Step<T> Plan<T>::Compiler::loss_step(ValueId output, ValueId gradient) {
  Step<T> step{Zone::kLoss, Zone::kLoss, -1, {output}, {}};
  if (gradient != kNoValue) step.writes = {gradient};
  step.make = [this, output, gradient](const Step<T>&,
                                       const Places<T>& places) -> std::unique_ptr<Operation<T>> {
    const Rows<T> none;
    const Rows<T> at_output = gradient == kNoValue ? none : places.of(gradient);
    if (!options_.loss.heads.empty()) {
      return std::make_unique<HeadLosses<T>>(head_parts(), places.of(output), plan_.sample_loss_,
                                             options_.capacity, at_output, options_.max_workers);
    }
    const auto& loss = ops::find_loss<T>(options_.loss.name);
    if (!options_.derivative_weights.empty()) {
      return std::make_unique<DerivativeLoss<T>>(
          loss, options_.loss.parameters, options_.derivative_weights, places.of(output),
          plan_.sample_loss_, options_.capacity, at_output, options_.max_workers);
    }
    if (const int64_t members = network_.members(); members > 1) {
      return std::make_unique<MembersLoss<T>>(loss, options_.loss.parameters, places.of(output),
                                              members, plan_.sample_loss_, at_output,
                                              options_.max_workers);
    }
    return std::make_unique<Loss<T>>(loss, options_.loss.parameters, places.of(output),
                                     plan_.sample_loss_, at_output, options_.max_workers);
  };
  return step;
}

template <class T>
std::vector<HeadLossPart<T>> Plan<T>::Compiler::head_parts() const {
  std::vector<HeadLossPart<T>> parts;
  int64_t column = 0;
  for (size_t h = 0; h < options_.loss.heads.size(); ++h) {
    const HeadLoss& loss = options_.loss.heads[h];
    const int64_t outputs = network_.graph().width(network_.graph().heads[h].node);
    const ops::LossTerms<T> terms(ops::find_loss<T>(loss.name), loss.parameters, outputs);
    parts.push_back({terms, column, outputs, loss.weight});
    column += outputs;
  }
  return parts;
}

template <class T>
Step<T> Plan<T>::Compiler::clip_step() {
  Step<T> step{Zone::kClip, Zone::kUpdate};
  step.parameters_written = {0};
  step.make = [this](const Step<T>&, const Places<T>&) -> std::unique_ptr<Operation<T>> {
    const ops::Seen gradients{plan_.dense_extents_, network_.sparse()};
    return std::make_unique<Clip<T>>(network_.gradients(), network_.values(), gradients,
                                     options_.clipping(), options_.max_workers);
  };
  return step;
}

template <class T>
Step<T> Plan<T>::Compiler::update_step() {
  Step<T> step{Zone::kUpdate, Zone::kUpdate};
  step.parameters_read = {0};
  step.make = [this](const Step<T>&, const Places<T>&) -> std::unique_ptr<Operation<T>> {
    optim::UpdateInput<T> input = options_.update;
    input.extents = plan_.dense_extents_;
    return std::make_unique<Update<T>>(*options_.rule, input, options_.max_workers);
  };
  return step;
}

template <class T>
Step<T> Plan<T>::Compiler::update_seen_step() {
  Step<T> step{Zone::kUpdate, Zone::kUpdate};
  step.parameters_read = {0};
  step.make = [this](const Step<T>&, const Places<T>&) -> std::unique_ptr<Operation<T>> {
    return std::make_unique<UpdateSeen<T>>(*options_.rule, options_.update, network_.sparse(),
                                           options_.max_workers);
  };
  return step;
}

// ---- memory ----

template <class T>
T* Plan<T>::Compiler::take(int64_t rows, int64_t cols) {
  const int64_t size = base::checked_product(rows, cols, "elements of a batch's buffer");
  T* const at = base_ == nullptr ? nullptr : base_ + used_;
  base::require<base::ValueError>(!__builtin_add_overflow(used_, base::padded<T>(size), &used_),
                                  "the buffers of a batch of ", options_.capacity,
                                  " samples do not fit into memory");
  return at;
}

// Of batches shared by samples: the first worker adds to the whole gradient at once.
template <class T>
int64_t Plan<T>::Compiler::most_partial_gradients() const {
  int64_t most = 0;
  for (int64_t rows = 1; rows < 2 * options_.capacity; rows *= 2) {
    const int64_t size = std::min(rows, options_.capacity);
    if (plan_.sharing(size).by != SharedBy::samples) continue;
    const int64_t part = plan_.part_of(size);
    most = std::max(most, (size + part - 1) / part - 1);
  }
  return most;
}

// Values in use at once lie side by side in slots as wide as the widest of them; what is kept has
// memory of its own.
template <class T>
void Plan<T>::Compiler::place_values() {
  const std::vector<Value>& values = builder_.values();
  int64_t widest = 0;
  for (size_t v = 0; v < values.size(); ++v) {
    if (slots_.slot[v] >= 0) widest = std::max(widest, stride_of<T>(values[v].cols));
  }
  std::vector<T*> slots;
  for (int i = 0; i < slots_.slots; ++i) slots.push_back(take(options_.capacity, widest));
  places_.rows.resize(values.size());
  std::vector<char> exact(values.size());
  for (size_t v = 0; v < values.size(); ++v) {
    if (values[v].exact) exact[static_cast<size_t>(slots_.place[v])] = 1;
  }
  for (size_t v = 0; v < values.size(); ++v) {
    const Value& value = values[v];
    Rows<T>& rows = places_.rows[v];
    rows.cols = value.cols;
    rows.stride = exact[v] != 0 ? value.cols : stride_of<T>(value.cols);
    if (const auto place = static_cast<size_t>(slots_.place[v]); place != v) {
      rows = places_.rows[place];
    } else if (value.rows > 0) {  // of all samples together
      rows.data = take(value.rows, rows.stride);
    } else if (value.pool == Value::Pool::kept) {
      rows.pitch = rows.stride;
      rows.data = take(options_.capacity, rows.stride);
    } else if (slots_.slot[v] >= 0) {
      rows.pitch = widest;
      rows.data = slots[static_cast<size_t>(slots_.slot[v])];
    } else {
      rows.is_gradient = value.is_input_gradient;
      rows.stride = network_.input_size();
      rows.pitch = value.column * static_cast<int64_t>(sizeof(T));
    }
  }
}

template <class T>
int64_t Plan<T>::Compiler::target_cols() const {
  const auto directions = static_cast<int64_t>(options_.derivative_weights.size());
  return network_.target_size() * (1 + directions);
}

template <class T>
int64_t Plan<T>::Compiler::losses_a_sample() const {
  if (!options_.derivative_weights.empty()) return kDerivativeFigures;
  return std::max<int64_t>(1, static_cast<int64_t>(options_.loss.heads.size()));
}

template <class T>
void Plan<T>::Compiler::layout() {
  const int64_t capacity = options_.capacity;
  places_.max_workers = options_.max_workers;
  places_.scratch.size = builder_.scratch();
  places_.scratch.data = take(options_.max_workers, places_.scratch.size.all());
  memory_.packing = bytes_used();
  place_values();
  const int64_t losses = losses_a_sample();
  if (has_loss(options_.kind)) plan_.sample_loss_ = take(losses, capacity);
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
    gathered_.target = take(capacity, target_cols());
    gathered_.weights = take(losses, capacity);
  }
  memory_.batch =
      bytes_used() - memory_.packing - memory_.activations - memory_.gradients - memory_.replicas;
}

// Where the first update follows the first gradients: not with clipping.
template <class T>
void Plan<T>::Compiler::replicas() {
  if (options_.kind != PlanKind::training || options_.clips() || !options_.updates) return;
  if (options_.rule != nullptr && options_.rule->needs() != ops::RuleNeeds::elementwise) return;
  const int64_t others = std::min<int64_t>(options_.max_workers - 1, most_partial_gradients());
  const int workers = static_cast<int>(others) + 1;
  T* const memory = take(1, Replicas<T>::size(workers, plan_.flat_size_));
  if (base_ == nullptr || workers == 1) return;
  plan_.replicas_ = Replicas<T>(memory, workers, plan_.flat_size_);
  plan_.own_pieces_.assign(static_cast<size_t>(workers),
                           OwnPieces(plan_.flat_size_ / kLeastElementsAdded + 1));
}

// ---- operations ----

template <class T>
void Plan<T>::Compiler::make_operations() {
  const auto count = [&](auto&& counts) {
    return static_cast<size_t>(std::ranges::count_if(steps_, counts));
  };
  plan_.forward_begin_ = count([](const Step<T>& step) { return step.phase == Zone::kData; });
  plan_.forward_end_ = plan_.forward_begin_ +
                       count([](const Step<T>& step) { return step.phase == Zone::kForward; });
  plan_.update_begin_ =
      steps_.size() - count([](const Step<T>& step) { return step.phase == Zone::kUpdate; });
  plan_.output_ = places_.of(builder_.final_output());
  if (differentiates(options_.kind)) {
    plan_.output_gradient_ = places_.of(builder_.final_gradient());
  }
  plan_.takes_slices_ = plan_.together_ == 1 && !options_.updates;
  for (const Step<T>& step : steps_) {
    auto operation = step.make(step, places_);
    const bool sums = std::ranges::any_of(step.writes, [&](ValueId value) {
      return builder_.values()[static_cast<size_t>(value)].rows > 0;
    });
    const bool is_right = step.parameters_written.empty() ? !sums : operation->sums_slices();
    plan_.takes_slices_ = plan_.takes_slices_ && is_right;
    operation->set_barrier_after(step.barrier_after);
    name(*operation);
    plan_.flops_a_row_ += operation->cost().flops_a_row;
    plan_.flops_fixed_ += operation->cost().flops_fixed;
    plan_.operations_.push_back(std::move(operation));
  }
}

template <class T>
void Plan<T>::Compiler::name(Operation<T>& operation) const {
  const std::string name =
      operation.node() < 0 ? "" : network_.graph().layer(operation.node()).spec.name;
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

template <class T>
Plan<T>::Plan(nn::Network<T>& network, const PlanOptions<T>& options) : Plan(options) {
  Compiler(*this, network).compile();
}

template <class T>
PlanMemory Plan<T>::memory(nn::Network<T>& network, const PlanOptions<T>& options) {
  Plan plan(options);
  return Compiler(plan, network).measure();
}

template class Plan<float>::Compiler;
template class Plan<double>::Compiler;
template Plan<float>::Plan(nn::Network<float>&, const PlanOptions<float>&);
template Plan<double>::Plan(nn::Network<double>&, const PlanOptions<double>&);
template PlanMemory Plan<float>::memory(nn::Network<float>&, const PlanOptions<float>&);
template PlanMemory Plan<double>::memory(nn::Network<double>&, const PlanOptions<double>&);

}  // namespace gd::plan

#include "train/model.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "layers/registry.hpp"
#include "ops/elementwise.hpp"
#include "profiling/recorder.hpp"

namespace gd::train {

using base::require;
using base::StateError;
using profiling::Purpose;
using profiling::Region;
using profiling::RegionKind;
using profiling::Zone;
using Lock = std::lock_guard<parallel::ForkSafeMutex>;

namespace {

template <class T>
void copy_rows(base::MatrixView<const T> from, base::MatrixView<T> to) {
  for (int64_t i = 0; i < from.rows; ++i) std::copy_n(from.row(i), from.cols, to.row(i));
}

// The mean of the members of each row, which lie side by side, added in order.
template <class T>
void average_rows(base::MatrixView<const T> from, int64_t members, base::MatrixView<T> to) {
  for (int64_t i = 0; i < to.rows; ++i) {
    T* const mean = to.row(i);
    std::copy_n(from.row(i), to.cols, mean);
    for (int64_t m = 1; m < members; ++m) {
      const T* const member = from.row(i) + m * to.cols;
      for (int64_t j = 0; j < to.cols; ++j) mean[j] += member[j];
    }
    for (int64_t j = 0; j < to.cols; ++j) mean[j] /= static_cast<T>(members);
  }
}

}  // namespace

void check_rows_together(const nn::Graph& graph, int64_t rows) {
  const nn::Node* const node = graph.meeting();
  if (node == nullptr) return;
  require<base::ValueError>(rows >= 2, "layer '", node->spec.name, "' of kind '", node->spec.kind,
                            "' needs at least 2 rows in a batch in training, got ", rows);
  require<base::ValueError>(rows <= ops::kLongSum, "layer '", node->spec.name, "' of kind '",
                            node->spec.kind, "' takes at most ", ops::kLongSum,
                            " rows in a batch, got ", rows);
}

namespace {

template <class T>
nn::Graph checked_free(nn::Graph graph) {
  for (const nn::EntrySpec& entry : graph.free) base::representable<T>(entry.constant, "init");
  return graph;
}

}  // namespace

template <class T>
Model<T>::Model(std::vector<nn::LayerSpec> layers, int64_t input_size, uint64_t seed)
    : Model(layers::graph_of<T>(std::move(layers), {input_size}), seed) {}

template <class T>
Model<T>::Model(nn::Graph graph, uint64_t seed)
    : network_(checked_free<T>(std::move(graph)), seed) {
  set_source(std::make_shared<profiling::SourceNumber>(
      profiling::NamedSource{.kind = "network",
                             .network = sizes(),
                             .dtype = sizeof(T) == sizeof(float) ? "float32" : "float64"}));
}

template <class T>
std::string Model<T>::sizes() const {
  std::string text = std::to_string(network_.graph().features());
  // Of those that change it.
  for (const nn::Node& layer : network_.graph().nodes) {
    if (layer.spec.has("units")) text += '-' + std::to_string(layer.width);
  }
  return text;
}

template <class T>
std::vector<int64_t> Model<T>::forward_flops() {
  const Lock lock(mutex_);
  plan::PlanOptions<T> options;
  options.lowerings = layers::lowering<T>;
  const plan::Plan<T> plan(network_, options);
  std::vector<int64_t> flops(network_.graph().nodes.size());
  for (const auto& operation : plan.operations()) {
    flops[static_cast<size_t>(operation->node() - network_.graph().first_layer())] +=
        operation->cost().flops(1);
  }
  return flops;
}

template <class T>
void Model<T>::set_source(std::shared_ptr<profiling::SourceNumber> source) {
  source_ = std::move(source);
  source_id_ = source_->id();
}

template <class T>
profiling::Work Model<T>::work(Purpose purpose) const {
  return {source_id_, purpose};
}

template <class T>
plan::Plan<T>& Model<T>::plan_for(plan::PlanKind kind, int64_t rows, int threads,
                                  std::unique_ptr<plan::Plan<T>>& plan) {
  if (plan == nullptr || plan->capacity() < rows || plan->max_workers() != threads) {
    plan::PlanOptions<T> options;
    options.lowerings = layers::lowering<T>;
    options.kind = kind;
    options.capacity = rows;
    options.elements = elements_.room;
    options.elements_a_row = elements_.a_row;
    options.max_workers = threads;
    plan = std::make_unique<plan::Plan<T>>(network_, options);
  }
  return *plan;
}

template <class T>
void Model<T>::predict(const T* x, int64_t rows, int64_t batch_size, int threads, T* out,
                       base::FunctionRef<bool()> stops, Purpose purpose, Of of,
                       const base::SparseRows<T>* sparse) {
  const Lock lock(mutex_);
  const parallel::ForkSafeMutex::Reading reading(mutex_);
  const int64_t inputs = network_.input_size();
  const int64_t members = of == Of::ensemble ? network_.members() : 1;
  const int64_t outputs = network_.output_size() / members;
  const int64_t at_once = std::min(batch_size, rows);
  if (sparse != nullptr && elements_.expect(network_.graph(), sparse)) inference_.reset();
  Pace pace(rows, 2 * network_.num_parameters());
  plan::Batch<T> batch;
  batch.x_stride = inputs;
  batch.sparse = sparse;
  for (int64_t begin = 0; begin < rows; begin += batch.rows) {
    batch.rows = pace.next(at_once);
    batch.x = x + begin * inputs;
    {
      const Region region(RegionKind::other, Zone::kCaller, work(purpose));  // without `stops`
      plan::Plan<T>& plan = plan_for(plan::PlanKind::inference, at_once, threads, inference_);
      plan.forward(batch);
      const base::MatrixView<T> to{out + begin * outputs, batch.rows, outputs};
      members == 1 ? copy_rows<T>(plan.output(batch.rows), to)
                   : average_rows<T>(plan.output(batch.rows), members, to);
    }
    pace.done(batch.rows);
    if (begin + batch.rows < rows && stops()) return;
  }
}

template <class T>
void Model<T>::forward_training(const T* x, int64_t rows, int threads, T* out,
                                const base::SparseRows<T>* sparse) {
  check_rows_together(network_.graph(), rows);
  const Region region(RegionKind::other, Zone::kCaller, work(Purpose::training));
  const Lock lock(mutex_);
  const int64_t inputs = network_.input_size();
  rows_kept_ = -1;  // until all that backward needs is there
  if (kept_x_.size() < rows * inputs) kept_x_ = base::AlignedBuffer<T>(rows * inputs);
  std::copy_n(x, rows * inputs, kept_x_.data());
  if (sparse != nullptr) keep_sparse(x, rows, sparse);
  plan::Plan<T>& plan = plan_for(plan::PlanKind::differentiable, rows, threads, differentiable_);
  plan::Batch<T> batch;
  batch.sparse = kept_sparse_.data();
  batch.rows = rows;
  batch.x = kept_x_.data();
  batch.x_stride = inputs;
  batch.draw = {network_.seed(), ++passes_, 0};
  plan.forward(batch);
  copy_rows<T>(plan.output(rows), {out, rows, network_.output_size()});
  rows_kept_ = rows;
  version_kept_ = network_.version();
}

template <class T>
void Model<T>::keep_sparse(const T* x, int64_t rows, const base::SparseRows<T>* sparse) {
  const nn::Graph& graph = network_.graph();
  data::Dataset<T> data;
  data.x = {x, rows, graph.input_size()};
  data.sparse = sparse;
  if (elements_.make_room(most_elements(graph, data, rows))) differentiable_.reset();
  if (elements_.expect(graph, sparse)) differentiable_.reset();
  kept_rows_.resize(graph.inputs.size());
  kept_sparse_.resize(graph.inputs.size());
  int64_t column = 0;
  for (size_t k = 0; k < graph.inputs.size(); column += graph.inputs[k++].columns_of_x()) {
    if (!graph.inputs[k].sparse) continue;
    const base::SparseRows<T>& from = data.sparse[k];
    KeptRows& kept = kept_rows_[k];
    kept = {{0}, {}, {}};
    for (int64_t i = 0; i < data.size(); ++i) {
      const int64_t row = base::row_of_number(data.x(i, column));
      const int64_t begin = from.begins[row], end = from.begins[row + 1];
      kept.columns.insert(kept.columns.end(), from.columns + begin, from.columns + end);
      kept.values.insert(kept.values.end(), from.values + begin, from.values + end);
      kept.begins.push_back(static_cast<int64_t>(kept.values.size()));
      kept_x_.data()[i * data.x.stride + column] = base::row_as_number<T>(i);
    }
    kept_sparse_[k] = {data.size(), kept.begins.data(), kept.columns.data(), kept.values.data()};
  }
}

template <class T>
int64_t Model<T>::rows_kept() {
  const Lock lock(mutex_);
  require<StateError>(rows_kept_ >= 0 && version_kept_ == network_.version(),
                      "backward needs forward(x, training=True) before it, with the parameters "
                      "unchanged since");
  return rows_kept_;
}

template <class T>
void Model<T>::backward(const T* output_gradient, int64_t rows, bool accumulate, T* input_gradient,
                        const T* free_gradients) {
  const Region region(RegionKind::other, Zone::kCaller, work(Purpose::training));
  const Lock lock(mutex_);
  require<StateError>(rows_kept() == rows, "backward of ", rows,
                      " rows: another thread has called forward with ", rows_kept_, " since");
  plan::Plan<T>& plan = *differentiable_;
  copy_rows<T>({output_gradient, rows, network_.output_size()}, plan.output_gradient(rows));
  plan::Batch<T> batch;
  batch.rows = rows;
  batch.x = kept_x_.data();
  batch.x_stride = network_.input_size();
  batch.sparse = kept_sparse_.data();
  batch.draw = {network_.seed(), passes_, 0};
  batch.accumulate = accumulate && network_.gradients_valid();
  batch.input_gradient = input_gradient;
  plan.backward(batch);
  for (const nn::Parameter& parameter : network_.free_parameters()) {
    T* const to = network_.gradients() + parameter.offset;
    if (!batch.accumulate) std::fill_n(to, parameter.size(), T{0});
    if (free_gradients == nullptr) continue;
    for (int64_t i = 0; i < parameter.size(); ++i) to[i] += *free_gradients++;
  }
  network_.set_gradients_valid(true);
}

template <class T>
std::vector<std::string> Model<T>::input_names() {
  const Lock lock(mutex_);
  return input_names_;
}

template <class T>
void Model<T>::set_input_names(std::vector<std::string> names) {
  const Lock lock(mutex_);
  input_names_ = std::move(names);
}

template <class T>
void Model<T>::copy_values(T* to) {
  const Lock lock(mutex_);
  network_.to_shapes(network_.values(), to);
}

template <class T>
void Model<T>::sums_of_squares(double* to) {
  const Lock lock(mutex_);
  for (const nn::Parameter& each : network_.parameters()) {
    const std::span<const T> values(network_.values() + each.offset,
                                    static_cast<size_t>(each.size()));
    *to++ = static_cast<double>(ops::sum_squares(values));
  }
}

template <class T>
void Model<T>::copy_gradients(T* to) {
  const Lock lock(mutex_);
  require<StateError>(network_.gradients_valid(),
                      "gradients are there after backward; none came before, or they have been "
                      "used up by a training step");
  network_.to_shapes(network_.gradients(), to);
}

template <class T>
void Model<T>::set_values(const T* from) {
  const Lock lock(mutex_);
  network_.from_shapes(from, network_.values());
  network_.note_change();
  network_.set_gradients_valid(false);
}

template <class T>
void Model<T>::set_value(const nn::Parameter& parameter, const T* from) {
  const Lock lock(mutex_);
  network_.from_shape(parameter, from, network_.values());
  network_.note_change();
  network_.set_gradients_valid(false);
}

template <class T>
void Model<T>::copy_state(T* to) {
  const Lock lock(mutex_);
  std::copy_n(network_.state(), network_.state_size(), to);
}

template <class T>
void Model<T>::set_state(const T* from) {
  const Lock lock(mutex_);
  std::copy_n(from, network_.state_size(), network_.state());
  network_.note_change();
}

template <class T>
void Model<T>::set_state(const nn::Parameter& entry, const T* from) {
  const Lock lock(mutex_);
  std::copy_n(from, entry.size(), network_.state() + entry.offset);
  network_.note_change();
}

template <class T>
void Model<T>::take_values(const Model& other) {
  require<StateError>(network_.flat_size() == other.network_.flat_size(),
                      "the networks are not of the same description");
  const Lock lock(mutex_);
  std::copy_n(other.network_.values(), network_.flat_size(), network_.values());
  std::copy_n(other.network_.state(), network_.state_size(), network_.state());
  network_.note_change();
  network_.set_gradients_valid(false);
}

template class Model<float>;
template class Model<double>;

}  // namespace gd::train

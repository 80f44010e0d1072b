// What a model tells beside its outputs, and takes from another: for those who build on it.

#include <algorithm>

#include "base/check.hpp"
#include "layers/registry.hpp"
#include "profiling/recorder.hpp"
#include "train/model.hpp"

namespace gd::train {

using base::require;
using base::ValueError;
using profiling::Purpose;
using profiling::Region;
using profiling::RegionKind;
using profiling::Zone;
using Lock = std::lock_guard<parallel::ForkSafeMutex>;

namespace {

// Rows whose derivatives are taken at a time.
constexpr int64_t kJacobianRows = 256;

// The place of a layer among the nodes of a graph; ValueError where there is none.
size_t place_of(const nn::Graph& graph, const std::string& layer) {
  const auto named = [&](const nn::Node& node) { return node.spec.name == layer; };
  const auto found = std::ranges::find_if(graph.nodes, named);
  require<ValueError>(found != graph.nodes.end(), "the network has no layer '", layer, "'");
  return static_cast<size_t>(found - graph.nodes.begin());
}

void check_same_layers(const nn::Graph& own, const nn::Graph& other) {
  require<ValueError>(own.features() == other.features(), "other must have ", own.features(),
                      " inputs, got ", other.features());
  for (size_t i = 0; i < own.inputs.size(); ++i) {  // whose weights lie in another way
    const bool same =
        own.inputs.size() == other.inputs.size() && own.inputs[i].sparse == other.inputs[i].sparse;
    require<ValueError>(same, "other must have the same inputs, sparse where this network's are");
  }
  require<ValueError>(own.nodes.size() == other.nodes.size(), "other must have ", own.nodes.size(),
                      " layers, got ", other.nodes.size());
  for (size_t i = 0; i < own.nodes.size(); ++i) {
    require<ValueError>(own.nodes[i].spec == other.nodes[i].spec,
                        "other must have the same layers, and layer '", own.nodes[i].spec.name,
                        "' differs");
  }
  const auto same = [](const nn::EntrySpec& a, const nn::EntrySpec& b) {
    return a.name == b.name && a.shape == b.shape;
  };
  require<ValueError>(std::ranges::equal(own.free, other.free, same),
                      "other must have the same parameters beside its layers");
}

}  // namespace

template <class T>
void Model<T>::jacobian(const T* x, int64_t rows, int threads, T* values, T* out,
                        base::FunctionRef<bool()> stops, const base::SparseRows<T>* sparse) {
  const Lock lock(mutex_);
  const parallel::ForkSafeMutex::Reading reading(mutex_);
  const int64_t inputs = network_.input_size();
  const int64_t outputs = network_.output_size();
  const int64_t at_once = std::min(rows, kJacobianRows);
  std::vector<T> gradients(static_cast<size_t>(at_once * inputs));
  plan::Batch<T> batch;
  batch.x_stride = inputs;
  batch.sparse = sparse;
  batch.input_gradient = gradients.data();
  for (int64_t begin = 0; begin < rows; begin += batch.rows) {
    batch.rows = std::min(at_once, rows - begin);
    batch.x = x + begin * inputs;
    for (int64_t output = 0; output < outputs; ++output) {
      {
        const Region region(RegionKind::other, Zone::kCaller, work(Purpose::inference));
        plan::Plan<T>& plan = plan_for(plan::PlanKind::derivative, at_once, threads, derivative_);
        if (output == 0) {
          plan.forward(batch);
          const base::MatrixView<const T> found = plan.output(batch.rows);
          for (int64_t i = 0; values != nullptr && i < batch.rows; ++i) {
            std::copy_n(found.row(i), outputs, values + (begin + i) * outputs);
          }
        }
        const base::MatrixView<T> chosen = plan.output_gradient(batch.rows);
        for (int64_t i = 0; i < batch.rows; ++i) {
          std::fill_n(chosen.row(i), outputs, T{0});
          chosen.row(i)[output] = 1;
        }
        plan.backward(batch);
        for (int64_t i = 0; i < batch.rows; ++i) {
          T* const to = out + ((begin + i) * outputs + output) * inputs;
          std::copy_n(gradients.data() + i * inputs, inputs, to);
        }
      }
      if (stops()) return;
    }
  }
}

template <class T>
int64_t Model<T>::layer_width(const std::string& layer) const {
  const nn::Graph& graph = network_.graph();
  return graph.nodes[place_of(graph, layer)].width;
}

// Of a network that ends there.
template <class T>
void Model<T>::layer_output(const std::string& layer, const T* x, int64_t rows, int threads,
                            std::vector<T>& out, const base::SparseRows<T>* sparse) {
  const Lock lock(mutex_);
  const parallel::ForkSafeMutex::Reading reading(mutex_);
  nn::Graph graph = network_.graph();
  const size_t at = place_of(graph, layer);
  graph.nodes.resize(at + 1);
  graph.output = graph.first_layer() + static_cast<int>(at);
  graph.free.clear();
  if (nn::LayerSpec& last = graph.nodes.back().spec; last.kind == "dense") {
    last.options["activation"] = std::string("identity");
    last.options["activation_parameters"] = std::vector<double>();
  }
  nn::Network<T> part(std::move(graph), 0, false);
  // It begins as the whole does: so do its flat buffers.
  ops::copy_extents<T>(part.extents(), network_.values(), part.values());
  std::copy_n(network_.state(), part.state_size(), part.state());
  plan::PlanOptions<T> options;
  options.lowerings = layers::lowering<T>;
  options.capacity = std::min(rows, kDefaultBatch);
  options.max_workers = threads;
  plan::Plan<T> plan(part, options);
  plan::Batch<T> batch;
  batch.x_stride = network_.input_size();
  batch.sparse = sparse;
  for (int64_t begin = 0; begin < rows; begin += batch.rows) {
    batch.rows = std::min(options.capacity, rows - begin);
    batch.x = x + begin * batch.x_stride;
    plan.forward(batch);
    const base::MatrixView<const T> found = plan.output(batch.rows);
    for (int64_t i = 0; i < batch.rows; ++i) {
      out.insert(out.end(), found.row(i), found.row(i) + found.cols);
    }
  }
}

template <class T>
void Model<T>::soft_update(Model& other, double tau) {
  check_same_layers(network_.graph(), other.network_.graph());
  if (&other == this) return;
  const int64_t size = network_.flat_size();
  const int64_t kept = network_.state_size();
  const Lock one_at_a_time(blending_);
  const parallel::ForkSafeMutex::Reading reading(blending_);
  if (const Lock lock(mutex_); blended_.size() == 0) blended_ = base::AlignedBuffer<T>(size + kept);
  {
    const Lock lock(other.mutex_);
    ops::copy_extents<T>(network_.extents(), other.network_.values(), blended_.data());
    std::copy_n(other.network_.state(), kept, blended_.data() + size);
  }
  const Lock lock(mutex_);
  const ops::KernelScope scope;
  const T theirs = static_cast<T>(tau);
  const T own = T{1} - theirs;
  const auto blend = [&](int64_t begin, int64_t count, T* to) {
    const T* const from = blended_.data() + begin;
    for (int64_t i = 0; i < count; ++i) to[i] = own * to[i] + theirs * from[i];
  };
  for (const parallel::Range& run : network_.extents()) {
    blend(run.begin, run.size(), network_.values() + run.begin);
  }
  blend(size, kept, network_.state());
  network_.note_change();
  network_.set_gradients_valid(false);
}

#define GD_INSTANTIATE(T)                                                                     \
  template void Model<T>::jacobian(const T*, int64_t, int, T*, T*, base::FunctionRef<bool()>, \
                                   const base::SparseRows<T>*);                               \
  template void Model<T>::layer_output(const std::string&, const T*, int64_t, int,            \
                                       std::vector<T>&, const base::SparseRows<T>*);          \
  template int64_t Model<T>::layer_width(const std::string&) const;                           \
  template void Model<T>::soft_update(Model<T>&, double);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::train

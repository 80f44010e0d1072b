#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/function_ref.hpp"
#include "data/dataset.hpp"
#include "nn/network.hpp"
#include "parallel/fork_safe_mutex.hpp"
#include "plan/plan.hpp"
#include "profiling/recorder.hpp"
#include "train/elements.hpp"
#include "train/pace.hpp"

namespace gd::train {

// ValueError where a layer that sees all rows of a batch in training cannot with so many.
void check_rows_together(const nn::Graph& graph, int64_t rows);

// A network that can be called: its parameters and the plans compiled for it so far. One mutex
// guards both; a thread holds it for one pass, so that several may take turns.
template <class T>
class Model {
 public:
  Model(nn::Graph graph, uint64_t seed);
  // Of layers over one input of real numbers.
  Model(std::vector<nn::LayerSpec> layers, int64_t input_size, uint64_t seed);

  // Sizes, names and seed never change and may be read without the lock.
  const nn::Network<T>& description() const { return network_; }

  parallel::ForkSafeMutex& mutex() { return mutex_; }
  // The caller holds the mutex.
  nn::Network<T>& network() { return network_; }

  // Inputs and units, as in "784-512-10".
  std::string sizes() const;
  // Of each layer the floating-point operations that inference makes of one row, by what a plan
  // counts.
  std::vector<int64_t> forward_flops();
  // Whose work its passes are in recordings: at first its own, then that of its last trainer. The
  // caller holds the mutex.
  void set_source(std::shared_ptr<profiling::SourceNumber> source);
  profiling::Work work(profiling::Purpose purpose) const;

  // What predict gives of an ensemble: the outputs of all members, or their mean.
  enum class Of : uint8_t { members, ensemble };
  // out (rows, outputs), or of the ensemble (rows, target_size), from x (rows, inputs), at most
  // batch_size rows at a time; `sparse` as plan::Batch has it. Ends early where `stops` says so,
  // which is asked with the mutex held and may wait for Python.
  void predict(const T* x, int64_t rows, int64_t batch_size, int threads, T* out,
               base::FunctionRef<bool()> stops = NeverStops(),
               profiling::Purpose purpose = profiling::Purpose::inference, Of of = Of::members,
               const base::SparseRows<T>* sparse = nullptr);

  // One batch, keeping what backward needs.
  void forward_training(const T* x, int64_t rows, int threads, T* out,
                        const base::SparseRows<T>* sparse = nullptr);

  // Rows of the last forward_training; StateError where there is none or parameters have changed
  // since.
  int64_t rows_kept();

  // output_gradient is (rows, outputs), input_gradient (rows, inputs). StateError unless
  // forward_training with as many rows came before. Runs on the threads of the forward pass.
  // Those at the parameters of no layer come one after the other, or null: they are zero.
  void backward(const T* output_gradient, int64_t rows, bool accumulate, T* input_gradient,
                const T* free_gradients = nullptr);

  // out (rows, outputs, inputs) gets the derivatives of each row's outputs, as inference computes
  // them, by its inputs; values (rows, outputs) those outputs, or null. Ends early where `stops`
  // says so.
  void jacobian(const T* x, int64_t rows, int threads, T* values, T* out,
                base::FunctionRef<bool()> stops = NeverStops(),
                const base::SparseRows<T>* sparse = nullptr);

  // out (rows, width) gets the sums of a dense layer, or the output of another, by its name;
  // ValueError where there is none of that name.
  void layer_output(const std::string& layer, const T* x, int64_t rows, int threads,
                    std::vector<T>& out, const base::SparseRows<T>* sparse = nullptr);
  // The columns of that.
  int64_t layer_width(const std::string& layer) const;

  // Parameters and what layers keep become (1 - tau) times themselves and tau times the other's;
  // ValueError where that has other layers.
  void soft_update(Model& other, double tau);

  // What the inputs are called, in order; empty where nobody has named them.
  std::vector<std::string> input_names();
  void set_input_names(std::vector<std::string> names);

  // Copies of the values, or of the gradients (StateError unless valid), in the order and sizes of
  // description().parameters(), one after the other without gaps.
  void copy_values(T* to);
  // Of each parameter the sum of its squares, in T.
  void sums_of_squares(double* to);
  void copy_gradients(T* to);
  void set_values(const T* from);
  void set_value(const nn::Parameter& parameter, const T* from);
  // The same of what layers keep beside parameters, description().kept().
  void copy_state(T* to);
  void set_state(const T* from);
  void set_state(const nn::Parameter& entry, const T* from);
  // Those of a model of the same description, which nobody else uses.
  void take_values(const Model& other);

 private:
  plan::Plan<T>& plan_for(plan::PlanKind kind, int64_t rows, int threads,
                          std::unique_ptr<plan::Plan<T>>& plan);
  // Copies what backward needs of sparse inputs.
  void keep_sparse(const T* x, int64_t rows, const base::SparseRows<T>* sparse);

  parallel::ForkSafeMutex mutex_;
  nn::Network<T> network_;
  std::shared_ptr<profiling::SourceNumber> source_;
  std::atomic<profiling::SourceId> source_id_;  // may be read without the mutex
  std::vector<std::string> input_names_;
  std::unique_ptr<plan::Plan<T>> inference_;
  std::unique_ptr<plan::Plan<T>> differentiable_;
  std::unique_ptr<plan::Plan<T>> derivative_;
  // What soft_update reads from the other network, and who may. No two networks are locked at once:
  // who waits for a second one would keep a fork waiting for the first.
  parallel::ForkSafeMutex blending_;
  base::AlignedBuffer<T> blended_;
  base::AlignedBuffer<T> kept_x_;
  struct KeptRows {
    std::vector<int64_t> begins;
    std::vector<int32_t> columns;
    std::vector<T> values;
  };
  std::vector<KeptRows> kept_rows_;
  std::vector<base::SparseRows<T>> kept_sparse_;  // views of them, by the inputs
  Elements elements_;
  int64_t rows_kept_ = -1;
  uint64_t passes_ = 0;        // of forward_training, each of which draws anew
  uint64_t version_kept_ = 0;  // of the parameters that they went through
};

// Rows at a time where the caller leaves it open: enough for the matmuls, little memory.
inline constexpr int64_t kDefaultBatch = 1024;

}  // namespace gd::train

#pragma once

// A network, a loss, an update rule and a batch size compiled into one arena and a list of
// operations. Running it allocates nothing and looks nothing up.

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "parallel/partition.hpp"
#include "plan/builder.hpp"
#include "plan/cost_model.hpp"
#include "plan/operations/clip.hpp"
#include "plan/operations/gather.hpp"
#include "plan/replicas.hpp"

namespace gd::plan {

// One of several losses, of a head of the network.
struct HeadLoss {
  std::string name;
  std::vector<double> parameters;
  double weight = 1;  // in the sum of all
};

struct LossDescription {
  std::string name;  // empty: none, or those of the heads
  std::vector<double> parameters;
  std::vector<HeadLoss> heads{};  // as many as the network has, in their order

  bool none() const { return name.empty() && heads.empty(); }
};

template <class T>
struct PlanOptions {
  FindLowering<T> lowerings = nullptr;  // how each kind of layer becomes steps
  PlanKind kind = PlanKind::inference;
  int64_t capacity = 1;        // most rows of a batch
  int64_t elements = 0;        // room for those of a sparse input, where gradients are made
  int64_t elements_a_row = 0;  // about, which says what sparse rows cost
  int max_workers = 1;
  bool gathers = false;  // room for the rows of a shuffled batch
  ops::Precision precision = ops::Precision::highest;
  LossDescription loss;
  double clip_norm = 0;  // training only; 0: no clipping, or as `clip` says
  ClipOptions clip;
  // Where rows see each other in training, those of so many rows of a batch do, one after the
  // other; 0: all of it.
  int64_t apart = 0;
  // By the network's inputs what the derivatives by them count in the loss; empty: it has none.
  // Then `lowerings` are those over values with derivatives, and targets hold both, see
  // operations/derivative_loss.hpp.
  std::vector<double> derivative_weights{};
  optim::Rule<T>* rule = nullptr;  // training only
  bool updates = true;             // training only; else gradients are all that it makes
  // With the network's values and gradients. What is not in its extents does not train.
  optim::UpdateInput<T> update;

  ClipOptions clipping() const {
    return clip_norm > 0 ? ClipOptions{ClipBy::whole, clip_norm, 0, {}, clip.leaves} : clip;
  }
  bool clips() const { return clipping().by != ClipBy::none; }
};

// What a plan's arena is for, in bytes.
struct PlanMemory {
  int64_t packing = 0;      // of all workers, for matmuls
  int64_t activations = 0;  // outputs of the layers, gradients at them, losses of the samples
  int64_t gradients = 0;    // of parts of the batch, where workers share it by samples
  int64_t replicas = 0;     // of the parameters, for hired workers then
  int64_t batch = 0;        // the rows of a shuffled batch
};

template <class T>
class Plan {
 public:
  // ValueError where the arena's size does not fit; the network must outlive the plan and its
  // buffers stay where they are.
  Plan(nn::Network<T>& network, const PlanOptions<T>& options);

  int64_t capacity() const { return options_.capacity; }
  int max_workers() const { return options_.max_workers; }
  bool updates() const { return options_.updates; }
  int64_t apart() const { return options_.apart; }
  bool gathers() const { return options_.gathers; }
  // How a batch of that size is shared.
  Sharing sharing(int64_t rows) const;
  int workers(int64_t rows) const { return sharing(rows).workers; }

  // batch.rows <= capacity for forward and backward. After forward, output(rows) holds it.
  void forward(Batch<T> batch);
  // output_gradient(rows) filled by the caller; fills the network's gradients and
  // batch.input_gradient; where batch.gradients is not null, that buffer in place of the network's.
  void backward(Batch<T> batch);
  // All of a plan with a loss; returns the loss, sum(w l) / sum(w), that the batch had before any
  // update. A batch of more rows than the capacity, which must then be a multiple of kSumPart and
  // at least 4 of them, goes through in pieces, with the same bits.
  double step(const Batch<T>& batch);
  // The same on rows `indices` of the batch, which are copied side by side first. Needs gathers.
  double step(const Batch<T>& batch, std::span<const int64_t> indices);
  // All of a plan with a loss; returns start + w_0 l_0 + w_1 l_1 + ... So a sum over many batches
  // is one chain, however they are cut.
  double add_losses(const Batch<T>& batch, double start);
  // The same on rows `indices` of it.
  double add_losses(const Batch<T>& batch, std::span<const int64_t> indices, double start);
  // Whether a batch of several slices may go through at once.
  bool takes_slices() const { return takes_slices_; }
  // The gradients of the slices of a node, whose rows these are, or rows `indices` of them, to the
  // slicing's first buffer. At most as many rows as the capacity. Then losses are told by slice:
  // loss_of and head_sums.
  void add_slices(const Batch<T>& batch, const std::span<const int64_t>* indices,
                  const Slicing<T>& slicing);
  // The sum of the losses of some rows of that batch.
  double loss_of(parallel::Range rows);
  // Where gradients go, in place of the network's: a buffer laid out as that.
  void set_gradients(T* flat) { gradients_ = flat; }
  // Of a plan with losses of several heads: what each one's sum was after the last step, or
  // add_losses, which begins with HeadBatch::start. Of one with derivatives the sums of what
  // DerivativeLoss finds; its batches have as many `heads`.
  const std::vector<double>& head_sums() const { return head_sums_; }

  base::MatrixView<const T> output(int64_t rows) const {
    return {output_.data, rows, output_.cols, output_.stride};
  }
  base::MatrixView<T> output_gradient(int64_t rows) {
    return {output_gradient_.data, rows, output_gradient_.cols, output_gradient_.stride};
  }

  // The same of one row, which then goes backward alone, as Batch::first_row.
  T* output_gradient_at(int64_t row) {
    return output_gradient_.data + row * output_gradient_.pitch;
  }

  const std::vector<std::unique_ptr<Operation<T>>>& operations() const { return operations_; }
  int64_t flops(int64_t rows) const;
  int64_t arena_bytes() const { return arena_.bytes(); }

  // What a plan with these options would take, without taking it. Needs no rule.
  static PlanMemory memory(nn::Network<T>& network, const PlanOptions<T>& options);

 private:
  class Compiler;

  explicit Plan(const PlanOptions<T>& options)  // not compiled
      : options_(options), add_queue_(options.max_workers) {}
  void run(size_t first, size_t last, const Batch<T>& batch, parallel::Team& team);
  // The same, where a worker may give way and come back between two operations.
  void run_in_stages(size_t first, size_t last, const Batch<T>& batch, parallel::Team& team);
  int workers_by_tiles(int64_t rows) const {
    return workers_for(flops_to_share(rows), options_.max_workers);
  }
  int64_t flops_to_share(int64_t rows) const { return flops(std::max(rows, kRowsAWeightPays)); }
  // A piece of a batch in parts, from operation `first` on, with the update if it is the last.
  void run_by_samples(size_t first, const Batch<T>& piece, parallel::Team& team, bool is_last);
  // The same for a whole batch, by workers that have parameters of their own.
  void run_on_replicas(size_t first, const Batch<T>& batch, parallel::Team& team);
  // The gradients of a worker's parts, from operation `first` on.
  void run_parts(size_t first, const Batch<T>& piece, const ops::Worker& worker,
                 const T* parameters);
  // The parts that a worker takes, and the buffer of the first one's gradient.
  parallel::Range parts_of(const Batch<T>& piece, int worker, int workers) const;
  T* gradients_of(const Batch<T>& piece, int worker, int workers) const;
  // Calls add(piece, begin, gradients, sum) for the extents of pieces of the flat gradient, over
  // all workers; the gradients are those of the first worker. With `updates` their sum is used up.
  template <class Add>
  void add_up(ops::Worker& worker, const Batch<T>& piece, bool updates, Add&& add);
  int64_t elements_added(int workers) const;  // in a piece
  // Copies the pieces that others have updated from this worker's gradients to its parameters.
  void take_over(ops::Worker& worker, const Batch<T>& batch, const OwnPieces& own, T* parameters);
  // Of the parameters whose gradients are made.
  ops::Extents trained() const {
    return options_.kind == PlanKind::training ? options_.update.extents : network_->extents();
  }
  int64_t part_of(int64_t rows) const { return sample_part(rows, flat_size_); }
  // Runs operations from `first` on for a piece of a batch, whose gradients add to those of the
  // pieces before; the update comes with the last. Adds the piece's losses to `start`.
  struct Place {
    int64_t begin;  // of a piece in its batch
    int64_t rows;   // of the batch
  };
  double run_piece(size_t first, Batch<T> piece, Place place, double start);
  // Adds a piece's losses to the heads' sums; returns the loss of all.
  double add_head_losses(const Batch<T>& piece, bool is_first, parallel::Range rows);
  double add_derivative_losses(const Batch<T>& piece, bool is_first);
  // Rows of the piece that begins there, and whether its gradients go on from the network's.
  int64_t rows_at_once(int64_t begin, int64_t rows) const;
  [[gnu::noinline]] int64_t rows_together_at_once(int64_t begin, int64_t rows) const;
  bool goes_on(Place place);
  void check_gaps() const;  // of all flat buffers, see nn/gaps.hpp

  PlanOptions<T> options_;
  base::AlignedBuffer<T> arena_;
  std::vector<std::unique_ptr<Operation<T>>> operations_;
  Gather<T>* gather_ = nullptr;  // the first operation of a plan that gathers
  size_t forward_begin_ = 0;     // operations of the forward pass
  size_t forward_end_ = 0;
  size_t update_begin_ = 0;  // what follows the gradients
  Rows<T> output_;
  Rows<T> output_gradient_;
  T* sample_loss_ = nullptr;  // (capacity,), or of several heads (heads, capacity)
  std::vector<double> head_sums_;
  nn::Network<T>* network_ = nullptr;
  T* gradients_ = nullptr;       // the network's
  T* partial_ = nullptr;         // gradients of parts, one after the other
  int64_t partials_ = 0;         // how many
  base::AlignedBuffer<T> sums_;  // of gradients, for a batch of more rows than two long sums
  int64_t flat_size_ = 0;        // of the parameters
  int64_t flops_a_row_ = 0;
  int64_t flops_fixed_ = 0;
  bool fuses_update_ = false;
  bool takes_slices_ = false;
  Batch<T> sliced_;                             // the last of slices
  int64_t together_ = 1;                        // rows that see each other, as nn::Graph has it
  bool by_tiles_ = false;                       // no part of a batch goes through all layers alone
  std::vector<parallel::Range> dense_extents_;  // of what trains, without what is sparse
  ops::TileQueue add_queue_;
  Replicas<T> replicas_;
  std::vector<OwnPieces> own_pieces_;  // of each worker
};

}  // namespace gd::plan

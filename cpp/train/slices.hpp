#pragma once

// Sums over the slices of a batch: on one process, or by ranks that have some slices each. The bits
// are those of the slices' tree, whoever has what.

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "base/function_ref.hpp"
#include "exchange/exchange.hpp"
#include "exchange/slice_tree.hpp"
#include "ops/extents.hpp"

namespace gd::train {

template <class T>
class Slices {
 public:
  // Of flat buffers of that size, in which `extents` count. Without an exchange this is the only
  // rank. ValueError where there are more ranks than slices.
  Slices(exchange::SliceTree tree, std::shared_ptr<exchange::Exchange> exchange, int64_t flat_size,
         std::vector<parallel::Range> extents);

  const exchange::SliceTree& tree() const { return tree_; }
  int rank() const { return exchange_ ? exchange_->rank() : 0; }
  int ranks() const { return exchange_ ? exchange_->size() : 1; }
  // The slices of this rank.
  exchange::Node own() const { return tree_.of_rank(rank(), ranks()); }

  // The most rows of a batch that may go through at once: of a slice, or of all of a rank's.
  int64_t most_rows(int64_t rows, bool of_rank) const {
    if (!of_rank) return tree_.most_rows(rows);
    return std::max(tree_.rows(own(), rows).size(), tree_.most_rows(rows));
  }

  // Of what it keeps, at most.
  int64_t bytes() const;

  // Where the sum is: a flat buffer.
  T* sum() { return sums_.front().data(); }
  // What this rank makes the sum of, and, where ranks update what is their own, the weights.
  parallel::Range piece() const { return piece_of(rank()); }

  // Fills the first of some flat buffers with what the slices of a node give in all, and numbers
  // beside it: `figures` of them. The other buffers are for what is made on the way.
  using Fill =
      base::FunctionRef<void(exchange::Node, std::span<T* const> buffers, double* figures)>;
  // Over all slices of this rank that have rows; nothing is sent yet. A node of several slices is
  // filled at once where it has no more than `at_once` rows.
  void add_own(int64_t rows, size_t figures, int threads, int64_t at_once, Fill fill);
  // The figures' sums over all ranks. Where one of them is to stop, all do, by an exception.
  std::span<const double> add_figures(int64_t rows);
  // Gets use(begin, sum) for parts of the sum in piece(), over all ranks, while they are in cache.
  using Use = base::FunctionRef<void(int64_t, std::span<const T>)>;
  void add_pieces(int64_t rows, int threads, Use use);
  // Every rank's piece of a flat buffer to all ranks.
  void share(T* flat);
  // Gives every rank the numbers of all slices, (slices, columns), of which it has its own.
  void share_numbers(std::span<double> numbers, size_t columns);
  // Whether every rank says so.
  bool all_agree(bool own);

 private:
  using Node = exchange::Node;

  parallel::Range piece_of(int rank) const;
  bool has_rows(Node node, int64_t rows) const { return !tree_.rows(node, rows).empty(); }
  T* buffer(size_t number);
  static size_t depth(Node node);
  struct Filling {
    int64_t rows;
    int threads;
    int64_t at_once;
    Fill fill;
  };
  void add_node(Node node, const Filling& how, size_t at, double* figures);
  void add(T* to, const T* from, int threads) const;
  // Sends this rank's parts of others' pieces, and lists in parts_ where those of its own lie.
  void exchange_parts();
  // The sum over a node of [begin, begin + count) of the piece; where it is made, in `room`.
  const T* sum_parts(Node node, int64_t rows, int64_t begin, int64_t count, T* room) const;
  void share_directly(T* flat, std::vector<exchange::Place> receive);
  // Calls it, as an exchange of so many bytes in recordings.
  void recorded(int64_t bytes, base::FunctionRef<void()> call) const;
  // Of a rank's node; before those of its first stands whether it wants to stop.
  double* figures_of(int rank, size_t node);
  void share_figures();
  size_t number(Node node) const;  // among nodes of all ranks; as many as there are: none

  exchange::SliceTree tree_;
  std::shared_ptr<exchange::Exchange> exchange_;
  int64_t flat_size_;
  std::vector<parallel::Range> extents_;
  std::vector<std::vector<Node>> nodes_;  // of each rank
  std::vector<Node> all_nodes_;
  std::vector<base::AlignedBuffer<T>> sums_;
  std::vector<double> figures_;  // of all ranks' nodes, one after the other
  std::vector<double> total_;
  size_t figure_count_ = 0;
  base::AlignedBuffer<T> sent_;      // parts of pieces, where a rank has several nodes
  base::AlignedBuffer<T> received_;  // of this rank's piece, of all other ranks' nodes
  std::vector<const T*> parts_;      // of this rank's piece, by node of all ranks in order
};

}  // namespace gd::train

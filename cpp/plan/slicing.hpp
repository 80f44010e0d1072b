#pragma once

// Gradients of several slices of a batch in one pass: rows go through the layers together, and what
// sums over rows is summed slice by slice, as the slices' tree says.

#include <span>

#include "exchange/slice_tree.hpp"
#include "parallel/partition.hpp"

namespace gd::plan {

template <class T>
struct Slicing {
  exchange::SliceTree tree;
  exchange::Node node;     // whose slices there are
  int64_t batch_rows = 0;  // of the whole batch, which says how they are cut
  // Flat buffers: the sum goes into the first, the others are for what is made on the way, as many
  // as the tree is deep.
  std::span<T* const> buffers;

  parallel::Range rows() const { return tree.rows(node, batch_rows); }

  // Calls leaf(rows, buffer, adds) for each slice, with its rows as the pass has them; where it
  // `adds`, to what the buffer has. Between, add(to, from) adds one buffer to another.
  // A slice of at most `one_chain` rows is a sum of one part, which needs no buffer of its own
  // where its left neighbour's is there to be added to.
  template <class Leaf, class Add>
  void sum(int64_t one_chain, Leaf&& leaf, Add&& add) const {
    sum(node, 0, one_chain, leaf, add);
  }

 private:
  template <class Leaf>
  void make(exchange::Node slice, size_t level, bool adds, Leaf& leaf) const {
    const parallel::Range own = tree.rows(slice, batch_rows);
    const int64_t first = rows().begin;
    leaf(parallel::Range{own.begin - first, own.end - first}, buffers[level], adds);
  }

  template <class Leaf, class Add>
  void sum(exchange::Node at, size_t level, int64_t one_chain, Leaf& leaf, Add& add) const {
    using exchange::SliceTree;
    if (at.is_leaf()) return make(at, level, false, leaf);
    const exchange::Node left = SliceTree::left(at);
    const exchange::Node right = SliceTree::right(at);
    const parallel::Range rows = tree.rows(right, batch_rows);
    if (rows.empty()) return sum(left, level, one_chain, leaf, add);
    if (tree.rows(left, batch_rows).empty()) return sum(right, level, one_chain, leaf, add);
    sum(left, level, one_chain, leaf, add);
    if (right.is_leaf() && rows.size() <= one_chain) {
      return make(right, level, true, leaf);
    }
    sum(right, level + 1, one_chain, leaf, add);
    add(buffers[level], buffers[level + 1]);
  }
};

}  // namespace gd::plan

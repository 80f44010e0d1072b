#pragma once

// The order in which sums over the slices of a batch are made: a binary tree that the number of
// slices alone says, so that ranks may share it in any way and come to the same bits.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "parallel/partition.hpp"

namespace gd::exchange {

// Slices [begin, end), whose sum is one.
struct Node {
  int begin = 0;
  int end = 0;

  bool is_leaf() const { return end - begin == 1; }
  bool operator==(const Node&) const = default;
};

class SliceTree {
 public:
  // No slice that has rows has fewer than `least`, but where the batch has not more.
  explicit SliceTree(int slices, int64_t least = 1) : slices_(slices), least_(least) {}

  int slices() const { return slices_; }
  Node root() const { return {0, slices_}; }

  // The two that make up a node: the left one has as many slices as the largest power of two that
  // leaves some for the right one.
  static Node left(Node node);
  static Node right(Node node);

  // Which slices a rank has, and the largest nodes that it has the whole of, in order.
  Node of_rank(int rank, int ranks) const;
  std::vector<Node> nodes_of_rank(int rank, int ranks) const;

  // The rows of a batch that belong to a node; there may be none.
  parallel::Range rows(Node node, int64_t rows_of_batch) const;
  // No slice has more, of this batch or a shorter one, whose slices may have one more.
  int64_t most_rows(int64_t rows_of_batch) const;
  // The fewest of any slice that has some, and how many have.
  int64_t least_rows(int64_t rows_of_batch) const { return rows_of_batch / units(rows_of_batch); }
  int64_t slices_with_rows(int64_t rows_of_batch) const {
    return std::min<int64_t>(slices_, units(rows_of_batch));
  }

  // The sum of a number that each slice has.
  template <class Value>
  double sum(Value&& value) const {
    return sum(root(), value);
  }

 private:
  template <class Value>
  static double sum(Node node, Value& value) {
    return node.is_leaf() ? value(node.begin) : sum(left(node), value) + sum(right(node), value);
  }

  // Of rows that stay in one slice.
  int64_t units(int64_t rows) const { return std::max<int64_t>(1, rows / least_); }

  int slices_;
  int64_t least_;
};

}  // namespace gd::exchange

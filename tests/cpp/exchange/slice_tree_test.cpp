#include "exchange/slice_tree.hpp"

#include <algorithm>
#include <vector>

#include "cpp/base/support.hpp"

using gd::exchange::Node;
using gd::exchange::SliceTree;

namespace {

// All nodes below one, itself among them.
void list(Node node, std::vector<Node>& to) {
  to.push_back(node);
  if (node.is_leaf()) return;
  list(SliceTree::left(node), to);
  list(SliceTree::right(node), to);
}

}  // namespace

TEST(a_node_is_made_of_two_that_follow_each_other) {
  for (int slices = 2; slices < 70; ++slices) {
    std::vector<Node> nodes;
    list({0, slices}, nodes);
    CHECK_EQ(nodes.size(), static_cast<size_t>(2 * slices - 1));
    for (const Node node : nodes) {
      if (node.is_leaf()) continue;
      const Node left = SliceTree::left(node), right = SliceTree::right(node);
      CHECK(left.begin == node.begin && left.end == right.begin && right.end == node.end);
      const int size = left.end - left.begin;
      CHECK((size & (size - 1)) == 0);         // a power of two
      CHECK(right.end - right.begin <= size);  // as large as the right one, or larger
    }
  }
}

TEST(ranks_have_all_slices_in_whole_nodes) {
  for (int slices = 1; slices < 40; ++slices) {
    const SliceTree tree(slices);
    std::vector<Node> all;
    list(tree.root(), all);
    for (int ranks = 1; ranks <= slices; ++ranks) {
      int next = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const Node own = tree.of_rank(rank, ranks);
        CHECK_EQ(own.begin, next);
        for (const Node node : tree.nodes_of_rank(rank, ranks)) {
          CHECK_EQ(node.begin, next);
          CHECK(std::find(all.begin(), all.end(), node) != all.end());
          next = node.end;
        }
        CHECK_EQ(own.end, next);
      }
      CHECK_EQ(next, slices);
    }
  }
}

TEST(powers_of_two_send_one_node_a_rank) {
  const SliceTree tree(16);
  for (const int ranks : {1, 2, 4, 8, 16}) {
    for (int rank = 0; rank < ranks; ++rank) {
      CHECK_EQ(tree.nodes_of_rank(rank, ranks).size(), size_t{1});
    }
  }
}

TEST(rows_are_cut_alike_and_none_is_left_alone) {
  for (const int64_t least : {1, 2}) {
    for (int slices = 1; slices < 20; ++slices) {
      const SliceTree tree(slices, least);
      for (int64_t rows = 1; rows < 100; ++rows) {
        int64_t next = 0, with = 0, most = 0, fewest = rows;
        for (int slice = 0; slice < slices; ++slice) {
          const auto own = tree.rows({slice, slice + 1}, rows);
          CHECK_EQ(own.begin, next);
          next = own.end;
          if (own.empty()) continue;
          ++with;
          most = std::max(most, own.size());
          fewest = std::min(fewest, own.size());
        }
        CHECK_EQ(next, rows);
        CHECK_EQ(with, tree.slices_with_rows(rows));
        for (int64_t longer = rows; longer < rows + 9; ++longer) {
          CHECK(most <= tree.most_rows(longer));
        }
        CHECK(fewest >= tree.least_rows(rows));
        CHECK(rows < least || fewest >= least);
        CHECK(tree.rows(tree.root(), rows).size() == rows);
      }
    }
  }
}

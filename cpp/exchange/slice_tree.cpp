#include "exchange/slice_tree.hpp"

#include <bit>

namespace gd::exchange {

namespace {

int middle(Node node) {
  const auto below = static_cast<unsigned>(node.end - node.begin - 1);
  return node.begin + static_cast<int>(std::bit_floor(below));
}

void add_whole(Node node, Node own, std::vector<Node>& to) {
  if (node.end <= own.begin || node.begin >= own.end) return;
  if (node.begin >= own.begin && node.end <= own.end) {
    to.push_back(node);
    return;
  }
  add_whole(SliceTree::left(node), own, to);
  add_whole(SliceTree::right(node), own, to);
}

}  // namespace

Node SliceTree::left(Node node) { return {node.begin, middle(node)}; }

Node SliceTree::right(Node node) { return {middle(node), node.end}; }

Node SliceTree::of_rank(int rank, int ranks) const {
  const parallel::Range own = parallel::split(slices_, ranks, rank);
  return {static_cast<int>(own.begin), static_cast<int>(own.end)};
}

std::vector<Node> SliceTree::nodes_of_rank(int rank, int ranks) const {
  std::vector<Node> nodes;
  add_whole(root(), of_rank(rank, ranks), nodes);
  return nodes;
}

parallel::Range SliceTree::rows(Node node, int64_t rows_of_batch) const {
  const auto all = static_cast<int>(units(rows_of_batch));
  const auto begin = [&](int slice) {
    const int64_t unit = slice == slices_ ? all : parallel::split(all, slices_, slice).begin;
    return unit == all ? rows_of_batch
                       : parallel::split(rows_of_batch, all, static_cast<int>(unit)).begin;
  };
  return {begin(node.begin), begin(node.end)};
}

int64_t SliceTree::most_rows(int64_t rows_of_batch) const {
  // A unit is longest where there is but one.
  const int64_t a_slice = (units(rows_of_batch) + slices_ - 1) / slices_;
  return std::min(rows_of_batch, a_slice * (2 * least_ - 1));
}

}  // namespace gd::exchange

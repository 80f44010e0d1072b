#include "train/slices.hpp"

#include <algorithm>
#include <bit>

#include "base/check.hpp"
#include "ops/elementwise.hpp"
#include "plan/cost_model.hpp"
#include "profiling/recorder.hpp"

namespace gd::train {

using exchange::Place;
using exchange::SliceTree;

namespace {

// Of a flat buffer, that a worker adds at a time.
constexpr int64_t kGrain = 4096;
// So many exchange directly; more by whatever algorithm there is for many.
constexpr int kFewRanks = 8;

// Calls f(begin, count) for pieces of [0, size) by all workers that are worth it.
template <class T>
void share_out(int64_t size, int threads, profiling::Amount cost,
               base::FunctionRef<void(int64_t, int64_t)> f) {
  const int workers = plan::update_workers(size, 1, threads);
  ops::TileQueue queue(std::max(1, workers));
  ops::run_collective(*parallel::acquire_team(workers), [&](ops::Worker& worker) {
    profiling::Lane* const lane = worker.lane();
    if (lane != nullptr) lane->begin(profiling::zone_id(profiling::Zone::kAddParts));
    queue.for_each(worker, (size + kGrain - 1) / kGrain, [&](int64_t piece) {
      f(piece * kGrain, std::min(kGrain, size - piece * kGrain));
    });
    if (lane != nullptr) lane->end(cost);
  });
}

}  // namespace

template <class T>
Slices<T>::Slices(exchange::SliceTree tree, std::shared_ptr<exchange::Exchange> exchange,
                  int64_t flat_size, std::vector<parallel::Range> extents)
    : tree_(tree),
      exchange_(std::move(exchange)),
      flat_size_(flat_size),
      extents_(std::move(extents)) {
  base::require<base::ValueError>(ranks() <= tree.slices(),
                                  "slices must be at least the number of ranks, ", ranks(),
                                  ", got ", tree.slices());
  for (int rank = 0; rank < ranks(); ++rank) {
    nodes_.push_back(tree_.nodes_of_rank(rank, ranks()));
    all_nodes_.insert(all_nodes_.end(), nodes_.back().begin(), nodes_.back().end());
  }
  buffer(0);
  if (ranks() == 1) return;
  const auto own = static_cast<size_t>(rank());
  size_t others = 0;
  for (size_t rank = 0; rank < nodes_.size(); ++rank)
    others += rank == own ? 0 : nodes_[rank].size();
  received_ = base::AlignedBuffer<T>(static_cast<int64_t>(others) * piece().size());
  if (nodes_[own].size() > 1) {
    sent_ = base::AlignedBuffer<T>(static_cast<int64_t>(nodes_[own].size()) * flat_size_);
  }
}

template <class T>
parallel::Range Slices<T>::piece_of(int rank) const {
  return parallel::split(flat_size_, ranks(), rank, base::kAlignment / int64_t{sizeof(T)});
}

template <class T>
int64_t Slices<T>::bytes() const {
  size_t buffers = 1;
  const std::vector<Node>& own = nodes_[static_cast<size_t>(rank())];
  for (size_t n = 0; n < own.size(); ++n) buffers = std::max(buffers, n + depth(own[n]));
  const int64_t elements =
      static_cast<int64_t>(buffers) * flat_size_ + sent_.size() + received_.size();
  return elements * static_cast<int64_t>(sizeof(T));
}

// How many buffers the sum over a node takes.
template <class T>
size_t Slices<T>::depth(Node node) {
  return 1 + static_cast<size_t>(std::bit_width(static_cast<unsigned>(node.end - node.begin - 1)));
}

template <class T>
T* Slices<T>::buffer(size_t number) {
  while (sums_.size() <= number) sums_.emplace_back(flat_size_);
  return sums_[number].data();
}

template <class T>
void Slices<T>::add(T* to, const T* from, int threads) const {
  const int64_t bytes = 3 * flat_size_ * static_cast<int64_t>(sizeof(T));
  share_out<T>(flat_size_, threads, {0, bytes}, [&](int64_t begin, int64_t count) {
    ops::for_extents(extents_, {begin, begin + count}, [&](parallel::Range run) {
      const std::span<const T> left(to + run.begin, static_cast<size_t>(run.size()));
      ops::add_parts<T>(left, from + run.begin, 0, 1, to + run.begin);
    });
  });
}

template <class T>
void Slices<T>::add_node(Node node, const Filling& how, size_t at, double* figures) {
  if (node.is_leaf() || tree_.rows(node, how.rows).size() <= how.at_once) {
    std::vector<T*> buffers;
    for (size_t i = 0; i < depth(node); ++i) buffers.push_back(buffer(at + i));
    return how.fill(node, buffers, figures);
  }
  const Node left = SliceTree::left(node);
  const Node right = SliceTree::right(node);
  if (!has_rows(right, how.rows)) return add_node(left, how, at, figures);
  if (!has_rows(left, how.rows)) return add_node(right, how, at, figures);
  add_node(left, how, at, figures);
  std::vector<double> beside(figure_count_);
  add_node(right, how, at + 1, beside.data());
  add(buffer(at), buffer(at + 1), how.threads);
  for (size_t f = 0; f < figure_count_; ++f) figures[f] += beside[f];
}

template <class T>
void Slices<T>::add_own(int64_t rows, size_t figures, int threads, int64_t at_once, Fill fill) {
  figure_count_ = figures;
  figures_.assign(all_nodes_.size() * figures + nodes_.size(), 0);
  const std::vector<Node>& own = nodes_[static_cast<size_t>(rank())];
  for (size_t n = 0; n < own.size(); ++n) {
    if (!has_rows(own[n], rows)) continue;
    // Buffers from the node's own on are free to add in.
    add_node(own[n], {rows, threads, at_once, fill}, n, figures_of(rank(), n));
  }
}

template <class T>
size_t Slices<T>::number(Node node) const {
  const auto found = std::ranges::lower_bound(all_nodes_, node.begin, {}, &Node::begin);
  if (found == all_nodes_.end() || *found != node) return all_nodes_.size();
  return static_cast<size_t>(found - all_nodes_.begin());
}

template <class T>
void Slices<T>::recorded(int64_t bytes, base::FunctionRef<void()> call) const {
  profiling::Lane* const lane = profiling::current_lane();
  if (lane == nullptr) return call();
  lane->begin(profiling::zone_id(profiling::Zone::kExchange));
  try {
    call();
  } catch (...) {
    lane->end({0, 0});
    throw;
  }
  lane->end({0, bytes});
}

template <class T>
double* Slices<T>::figures_of(int rank, size_t node) {
  size_t before = static_cast<size_t>(rank) + 1;  // what each has to say
  for (int each = 0; each < rank; ++each) {
    before += nodes_[static_cast<size_t>(each)].size() * figure_count_;
  }
  return figures_.data() + before + node * figure_count_;
}

template <class T>
void Slices<T>::share_figures() {
  std::vector<Place> places;
  int64_t begin = 0;
  for (const auto& nodes : nodes_) {
    const auto bytes = static_cast<int64_t>((1 + nodes.size() * figure_count_) * sizeof(double));
    places.push_back({begin, bytes});
    begin += bytes;
  }
  figures_of(rank(), 0)[-1] = exchange_->interrupted() ? 1 : 0;
  recorded(begin, [&] { exchange_->all_gather(figures_.data(), places); });
  for (int rank = 0; rank < ranks(); ++rank) {
    if (figures_of(rank, 0)[-1] != 0) exchange_->stop();
  }
}

template <class T>
std::span<const double> Slices<T>::add_figures(int64_t rows) {
  if (ranks() > 1) share_figures();
  std::vector<const double*> own;
  for (int rank = 0; rank < ranks(); ++rank) {
    for (size_t n = 0; n < nodes_[static_cast<size_t>(rank)].size(); ++n) {
      own.push_back(figures_of(rank, n));
    }
  }
  const auto add_up = [&](auto& self, Node node, double* to) -> void {
    if (const size_t found = number(node); found < own.size()) {
      std::copy_n(own[found], figure_count_, to);
      return;
    }
    const Node left = SliceTree::left(node);
    const Node right = SliceTree::right(node);
    if (!has_rows(right, rows)) return self(self, left, to);
    if (!has_rows(left, rows)) return self(self, right, to);
    self(self, left, to);
    std::vector<double> beside(figure_count_);
    self(self, right, beside.data());
    for (size_t f = 0; f < figure_count_; ++f) to[f] += beside[f];
  };
  total_.assign(figure_count_, 0);
  add_up(add_up, tree_.root(), total_.data());
  return total_;
}

template <class T>
void Slices<T>::exchange_parts() {
  const std::vector<Node>& own = nodes_[static_cast<size_t>(rank())];
  const bool packs = own.size() > 1;  // one node's parts lie where they are to be sent from
  const int64_t size = piece().size();
  std::vector<Place> send;
  std::vector<Place> receive;
  const auto place = [](int64_t begin, int64_t elements) {
    constexpr auto kBytes = static_cast<int64_t>(sizeof(T));
    return Place{begin * kBytes, elements * kBytes};
  };
  int64_t packed = 0;
  int64_t received = 0;
  parts_.clear();
  for (int rank = 0; rank < ranks(); ++rank) {
    const std::vector<Node>& nodes = nodes_[static_cast<size_t>(rank)];
    if (rank == this->rank()) {
      send.push_back({});
      receive.push_back({});
      for (size_t n = 0; n < own.size(); ++n) parts_.push_back(buffer(n) + piece().begin);
      continue;
    }
    const parallel::Range theirs = piece_of(rank);
    send.push_back(place(packs ? packed : theirs.begin,
                         packs ? static_cast<int64_t>(own.size()) * theirs.size() : theirs.size()));
    for (size_t n = 0; packs && n < own.size(); ++n, packed += theirs.size()) {
      std::copy_n(buffer(n) + theirs.begin, theirs.size(), sent_.data() + packed);
    }
    receive.push_back(place(received, static_cast<int64_t>(nodes.size()) * size));
    for (size_t n = 0; n < nodes.size(); ++n, received += size) {
      parts_.push_back(received_.data() + received);
    }
  }
  const int64_t bytes = (received + (flat_size_ - size)) * static_cast<int64_t>(sizeof(T));
  recorded(bytes, [&] {
    exchange_->all_to_all(packs ? sent_.data() : buffer(0), send, received_.data(), receive);
  });
}

template <class T>
const T* Slices<T>::sum_parts(Node node, int64_t rows, int64_t begin, int64_t count,
                              T* room) const {
  if (const size_t found = number(node); found < all_nodes_.size()) return parts_[found] + begin;
  const Node left = SliceTree::left(node);
  const Node right = SliceTree::right(node);
  if (!has_rows(right, rows)) return sum_parts(left, rows, begin, count, room);
  if (!has_rows(left, rows)) return sum_parts(right, rows, begin, count, room);
  const T* const a = sum_parts(left, rows, begin, count, room);
  const T* const b = sum_parts(right, rows, begin, count, a == room ? room + count : room);
  ops::add_parts<T>({a, static_cast<size_t>(count)}, b, 0, 1, room);
  return room;
}

template <class T>
void Slices<T>::add_pieces(int64_t rows, int threads, Use use) {
  exchange_parts();
  const int64_t bytes = piece().size() * static_cast<int64_t>((parts_.size() + 1) * sizeof(T));
  share_out<T>(piece().size(), threads, {0, bytes}, [&](int64_t begin, int64_t count) {
    constexpr int64_t kBlock = 512;
    constexpr int64_t kDepth = 18;  // of a tree of as many slices as there may be
    T room[kBlock * kDepth];
    for (int64_t at = begin; at < begin + count; at += kBlock) {
      const int64_t block = std::min(kBlock, begin + count - at);
      const T* const sum = sum_parts(tree_.root(), rows, at, block, room);
      use(piece().begin + at, {sum, static_cast<size_t>(block)});
    }
  });
}

template <class T>
void Slices<T>::share(T* flat) {
  if (ranks() == 1) return;
  constexpr auto kBytes = static_cast<int64_t>(sizeof(T));
  std::vector<Place> places;
  for (int rank = 0; rank < ranks(); ++rank) {
    const parallel::Range range = piece_of(rank);
    places.push_back({range.begin * kBytes, range.size() * kBytes});
  }
  recorded(flat_size_ * kBytes, [&] {
    if (ranks() > kFewRanks) return exchange_->all_gather(flat, places);
    share_directly(flat, places);
  });
}

// From each rank to each other: MPICH's gathering in place copies once more. The two buffers must
// not begin at one place.
template <class T>
void Slices<T>::share_directly(T* flat, std::vector<Place> receive) {
  const auto own = static_cast<size_t>(rank());
  std::vector<Place> send(receive.size(), {0, receive[own].bytes});
  send[own] = {};
  receive[own] = {};
  const int64_t first = own == 0 ? receive[1].begin : 0;
  for (size_t rank = 0; rank < receive.size(); ++rank) {
    if (rank != own) receive[rank].begin -= first;
  }
  const int64_t skipped = first / static_cast<int64_t>(sizeof(T));
  exchange_->all_to_all(flat + piece().begin, send, flat + skipped, receive);
}

template <class T>
void Slices<T>::share_numbers(std::span<double> numbers, size_t columns) {
  if (ranks() == 1) return;
  std::vector<Place> places;
  for (int rank = 0; rank < ranks(); ++rank) {
    const Node own = tree_.of_rank(rank, ranks());
    const auto bytes = static_cast<int64_t>(columns * sizeof(double));
    places.push_back({own.begin * bytes, (own.end - own.begin) * bytes});
  }
  recorded(static_cast<int64_t>(numbers.size_bytes()),
           [&] { exchange_->all_gather(numbers.data(), places); });
}

template <class T>
bool Slices<T>::all_agree(bool own) {
  std::vector<double> said(static_cast<size_t>(tree_.slices()), own ? 1 : 0);
  share_numbers(said, 1);
  return std::ranges::all_of(said, [](double each) { return each != 0; });
}

template class Slices<float>;
template class Slices<double>;

}  // namespace gd::train

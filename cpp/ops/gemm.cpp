#include "ops/gemm.hpp"

#include <algorithm>

#include "base/aligned_buffer.hpp"
#include "base/panels.hpp"
#include "parallel/partition.hpp"

namespace gd::ops {

namespace {

using base::kPanel;
using kernels::Chain;
using kernels::GemmBlocks;
using parallel::Range;

// Tiles a worker should find, so that one that is slowed down leaves few of them undone.
constexpr int kTilesPerWorker = 4;
// Below this many multiply-adds a tile costs more to hand out than it balances.
constexpr int64_t kLeastTileWork = 1 << 16;
// From this many elements on, B is packed once by all workers, between two barriers.
constexpr int64_t kLeastSharedB = 1 << 18;
// A strided B of no more bytes than L1 has is not worth copying.
constexpr int64_t kMostBytesInPlace = 32 << 10;

template <class T>
const kernels::TypedKernels<T>& typed() {
  return kernels::kernels().of<T>();
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Panels of A, as many as a cache block or the whole product has.
template <class T>
int64_t packed_a_size(int64_t m, int64_t k) {
  const GemmBlocks& blocks = typed<T>().blocks;
  const int64_t rows = ceil_div(std::min(m, blocks.mc), blocks.mr) * blocks.mr;
  return base::padded<T>(rows * std::min(k, blocks.kc));
}

template <class T>
int64_t packed_b_size(int64_t n, int64_t k) {
  const GemmBlocks& blocks = typed<T>().blocks;
  const int64_t columns = ceil_div(std::min(n, blocks.nc), blocks.nr) * blocks.nr;
  return base::padded<T>(columns * std::min(k, blocks.kc));
}

// A piece of C that is consumed: a panel's columns of a cache block's rows.
template <class T>
int64_t piece_size(int64_t m, int64_t n) {
  return base::padded<T>(std::min(m, typed<T>().blocks.mc) * std::min(n, kPanel));
}

// One worker's buffers.
template <class T>
struct Packing {
  T* a;
  T* b;
  T* piece;
};

// One macro tile of C, rows x columns, with everything its loops need.
template <class T>
class TileJob {
 public:
  TileJob(const GemmProblem<T>& problem, Range rows, Range columns, const Packing<T>& packing)
      : p_(problem), kernels_(typed<T>()), rows_(rows), columns_(columns), packing_(packing) {
    const GemmBlocks& blocks = kernels_.blocks;
    step_ = p_.part > 0 ? std::min(p_.part, blocks.kc) : blocks.kc;
    // A copy pays when it is read often enough: B once for every mr rows, A for every nr columns.
    const int64_t b_bytes = p_.k * p_.b_row * static_cast<int64_t>(sizeof(T));
    copy_b_ = p_.b_layout == Layout::panels_transposed ||
              (p_.b_layout == Layout::strided &&
               (p_.b_col != 1 || (rows.size() > 2 * blocks.mr && b_bytes > kMostBytesInPlace)));
    // Rows that lie a large power of two apart evict each other from L1; others are read in place.
    const int64_t row_bytes = p_.a_row * static_cast<int64_t>(sizeof(T));
    const bool in_place = p_.a_col == 1 && row_bytes % 1024 != 0;
    copy_a_ = !in_place && columns.size() > 4 * blocks.nr;
    // Else C goes on from what is there.
    piece_apart_ = p_.consume != nullptr && p_.k <= step_;
  }

  void run() {
    const auto blocks = static_cast<int>(ceil_div(rows_.size(), kernels_.blocks.mc));
    for_each_pass([&](Range columns, int64_t k0, int64_t depth) {
      if (copy_b_) pack_b(columns, columns, k0, depth);
      for (int block = 0; block < blocks; ++block) {
        const Range rows = parallel::split(rows_.size(), blocks, block, kernels_.blocks.mr);
        multiply({rows_.begin + rows.begin, rows_.begin + rows.end}, columns, k0, depth);
      }
    });
  }

  // The same by all workers together, each with a job of its own whose packed B is common to all.
  void run_shared(Worker& worker, TileQueue& queue, int row_blocks) {
    copy_b_ = p_.b_layout != Layout::panels;
    bool first = true;
    for_each_pass([&](Range columns, int64_t k0, int64_t depth) {
      if (!first) {
        worker.barrier();  // nobody reads the last pass's B any more
        if (worker.index() == 0) queue.reset();
      }
      first = false;
      const Range own = parallel::split(columns.size(), worker.count(), worker.index(), kPanel);
      if (copy_b_) pack_b(columns, {columns.begin + own.begin, columns.begin + own.end}, k0, depth);
      worker.barrier();
      queue.for_each(worker, row_blocks, [&](int64_t block) {
        const Range rows =
            parallel::split(p_.m, row_blocks, static_cast<int>(block), kernels_.blocks.mr);
        if (!rows.empty()) multiply(rows, columns, k0, depth);
      });
    });
  }

 private:
  // Calls pass(columns, k0, depth) for each block of B, in increasing k.
  template <class Pass>
  void for_each_pass(Pass&& pass) {
    const int64_t nc = kernels_.blocks.nc;
    int64_t k0 = 0;
    do {  // once even for k = 0: C is then the bias
      const int64_t depth = std::min(step_, p_.k - k0);
      last_ = k0 + depth >= p_.k;
      chain_ = k0 == 0 ? (p_.accumulate ? Chain::add_part : Chain::start)
                       : (p_.part > 0 ? Chain::add_part : Chain::go_on);
      for (int64_t j0 = columns_.begin; j0 < columns_.end; j0 += nc) {
        pass(Range{j0, std::min(j0 + nc, columns_.end)}, k0, depth);
      }
      k0 += depth;
    } while (k0 < p_.k);
  }

  // Columns `own` of a block, to where they lie in it; own.begin is whole panels into the block.
  void pack_b(Range block, Range own, int64_t k0, int64_t depth) {
    const int64_t nr = kernels_.blocks.nr;
    T* to = packing_.b + (own.begin - block.begin) * depth;
    for (int64_t j = own.begin; j < own.end; j += nr, to += nr * depth) {
      const int64_t width = std::min(nr, own.end - j);
      if (p_.b_layout == Layout::panels_transposed) {
        pack_transposed_panels(j, width, k0, depth, to);
      } else {
        kernels_.pack(
            {depth, width, p_.b + k0 * p_.b_row + j * p_.b_col, p_.b_row, p_.b_col, to, nr});
      }
    }
  }

  // B is the transpose of a matrix (n, k) in panels, and k0 is a whole number of them.
  void pack_transposed_panels(int64_t j, int64_t width, int64_t k0, int64_t depth, T* to) {
    const int64_t nr = kernels_.blocks.nr;
    for (int64_t k = k0; k < k0 + depth; k += kPanel, to += nr * kPanel) {
      const int64_t deep = std::min(kPanel, k0 + depth - k);
      const T* const from = p_.b + base::panel_index(p_.n, p_.k, j, k);
      kernels_.pack({deep, width, from, 1, base::panel_width(p_.k, k), to, nr});
    }
  }

  void pack_a(Range rows, int64_t height, int64_t k0, int64_t depth) {
    T* to = packing_.a;
    for (int64_t i = rows.begin; i < rows.end; i += height, to += height * depth) {
      kernels_.pack({depth, std::min(height, rows.end - i), p_.a + i * p_.a_row + k0 * p_.a_col,
                     p_.a_col, p_.a_row, to, height});
    }
  }

  // The register tiles of one cache block. B's panel stays in L1 or L2 while A's panels pass by.
  void multiply(Range rows, Range columns, int64_t k0, int64_t depth) {
    // Tiles of equal heights: a last one of a row or two would leave the multipliers idle.
    const int64_t height = ceil_div(rows.size(), ceil_div(rows.size(), kernels_.blocks.mr));
    if (copy_a_) pack_a(rows, height, k0, depth);
    kernels::GemmTile<T> tile;
    tile.depth = depth;
    tile.chain = chain_;
    for (int64_t panel = columns.begin; panel < columns.end; panel += kPanel) {
      const int64_t end = std::min(panel + kPanel, columns.end);
      for (int64_t j = panel; j < end; j += kernels_.blocks.nr) {
        tile.cols = static_cast<int>(std::min<int64_t>(kernels_.blocks.nr, end - j));
        find_b(tile, columns, j, k0, depth);
        tile.bias = last_ && p_.bias != nullptr ? p_.bias + j : nullptr;
        const T* panel_a = packing_.a;
        for (int64_t i = rows.begin; i < rows.end; i += height, panel_a += height * depth) {
          tile.rows = static_cast<int>(std::min(height, rows.end - i));
          tile.a = copy_a_ ? panel_a : p_.a + i * p_.a_row + k0 * p_.a_col;
          tile.a_row = copy_a_ ? 1 : p_.a_row;
          tile.a_depth = copy_a_ ? height : p_.a_col;
          find_c(tile, rows, i, j);
          kernels_.gemm(tile);
          if (last_) finish(tile, i, j);
        }
      }
      if (last_ && p_.consume != nullptr) consume(rows, panel);
    }
  }

  void find_b(kernels::GemmTile<T>& tile, Range columns, int64_t j, int64_t k0,
              int64_t depth) const {
    if (copy_b_) {
      tile.b = packing_.b + (j - columns.begin) * depth;
      tile.b_depth = kernels_.blocks.nr;
    } else if (p_.b_layout == Layout::panels) {
      tile.b = p_.b + base::panel_index(p_.k, p_.n, k0, j);
      tile.b_depth = base::panel_width(p_.n, j);
    } else {
      tile.b = p_.b + k0 * p_.b_row + j;
      tile.b_depth = p_.b_row;
    }
  }

  void find_c(kernels::GemmTile<T>& tile, Range rows, int64_t i, int64_t j) const {
    if (p_.c_layout == Layout::strided) {
      tile.c = p_.c + i * p_.c_row + j;
      tile.ldc = p_.c_row;
    } else {
      const int64_t at = base::panel_index(p_.m, p_.n, i, j);
      tile.ldc = base::panel_width(p_.n, j);
      tile.c = piece_apart_ ? packing_.piece + at - piece_begin(rows, j) : p_.c + at;
    }
  }

  int64_t piece_begin(Range rows, int64_t j) const {
    return base::panel_index(p_.m, p_.n, rows.begin, base::panel_begin(j));
  }

  void consume(Range rows, int64_t panel) const {
    const int64_t begin = piece_begin(rows, panel);
    const T* const piece = piece_apart_ ? packing_.piece : p_.c + begin;
    (*p_.consume)(begin,
                  {piece, static_cast<size_t>(rows.size() * base::panel_width(p_.n, panel))});
  }

  void finish(const kernels::GemmTile<T>& tile, int64_t i, int64_t j) {
    const Epilogue<T>& e = p_.epilogue;
    const int64_t at = i * e.stride + j;
    if (e.kind == Epilogue<T>::Kind::forward) {
      e.activation->forward(tile.rows, tile.cols, tile.c, tile.ldc, e.output + at, e.stride,
                            e.parameters);
    } else if (e.kind == Epilogue<T>::Kind::backward) {
      e.activation->backward(tile.rows, tile.cols, e.saved + at, e.stride, tile.c, tile.ldc,
                             e.parameters);
    }
  }

  const GemmProblem<T>& p_;
  const kernels::TypedKernels<T>& kernels_;
  Range rows_;
  Range columns_;
  Packing<T> packing_;
  int64_t step_;  // of k
  bool copy_a_;
  bool copy_b_;
  bool piece_apart_;
  bool last_ = false;
  Chain chain_ = Chain::start;
};

}  // namespace

template <class T>
GemmTiles gemm_tiles(int64_t m, int64_t n, int64_t k, int workers, bool packs_b) {
  const GemmBlocks& blocks = typed<T>().blocks;
  GemmTiles tiles;
  if (workers == 1 || m == 0 || n == 0) return tiles;
  if (packs_b && m >= 2 * blocks.mc && n * k >= kLeastSharedB) {
    const auto least = static_cast<int>(ceil_div(m, blocks.mc));
    tiles.rows = std::max(kTilesPerWorker * workers, (least + workers - 1) / workers * workers);
    tiles.share_b = true;
    return tiles;
  }
  // Columns first: rows cut apart would each copy the same B.
  const int64_t most_columns = std::max<int64_t>(1, n / kPanel);
  const int64_t most_rows = std::max<int64_t>(1, m / (4 * blocks.mr));
  const int64_t by_work = std::max<int64_t>(1, m * n * std::max<int64_t>(k, 1) / kLeastTileWork);
  const int64_t wanted = std::min<int64_t>(int64_t{kTilesPerWorker} * workers, by_work);
  while (tiles.count() < wanted) {
    const int64_t tile_rows = m / tiles.rows;
    const int64_t tile_columns = n / tiles.columns;
    const bool can_columns = tiles.columns * 2 <= most_columns;
    const bool can_rows = tiles.rows * 2 <= most_rows;
    if (can_columns && (!can_rows || tile_columns > blocks.nc || tile_rows < 2 * tile_columns)) {
      tiles.columns *= 2;
    } else if (can_rows) {
      tiles.rows *= 2;
    } else {
      break;
    }
  }
  // A width that no power of two cuts may still feed every worker.
  if (tiles.count() < std::min<int64_t>(workers, by_work)) {
    const int64_t limit = std::min<int64_t>(workers, by_work);
    const int64_t whole_columns = ceil_div(n, kPanel);
    const int64_t whole_rows = ceil_div(m, blocks.mr);
    if (whole_columns >= whole_rows) {
      tiles = {1, static_cast<int>(std::min(limit, whole_columns))};
    } else {
      tiles = {static_cast<int>(std::min(limit, whole_rows)), 1};
    }
  }
  return tiles;
}

template <class T>
int64_t gemm_scratch_size(int64_t m, int64_t n, int64_t k) {
  return packed_a_size<T>(m, k) + packed_b_size<T>(n, k) + piece_size<T>(m, n);
}

template <class T>
void gemm(Worker& worker, TileQueue& queue, const GemmTiles& tiles, const GemmProblem<T>& problem,
          const GemmScratch<T>& scratch) {
  const int64_t a_size = packed_a_size<T>(problem.m, problem.k);
  const int64_t b_size = packed_b_size<T>(problem.n, problem.k);
  T* const own = scratch.data + worker.slot() * scratch.each;
  Packing<T> packing{own, own + a_size, own + a_size + b_size};
  if (tiles.share_b) {
    packing.b = scratch.data + a_size;
    TileJob<T> job(problem, {0, problem.m}, {0, problem.n}, packing);
    job.run_shared(worker, queue, tiles.rows);
    return;
  }
  queue.for_each(worker, tiles.count(), [&](int64_t tile) {
    const Range rows = parallel::split(problem.m, tiles.rows, static_cast<int>(tile % tiles.rows),
                                       typed<T>().blocks.mr);
    const Range columns =
        parallel::split(problem.n, tiles.columns, static_cast<int>(tile / tiles.rows), kPanel);
    if (rows.empty() || columns.empty()) return;
    TileJob<T>(problem, rows, columns, packing).run();
  });
}

template GemmTiles gemm_tiles<float>(int64_t, int64_t, int64_t, int, bool);
template GemmTiles gemm_tiles<double>(int64_t, int64_t, int64_t, int, bool);
template int64_t gemm_scratch_size<float>(int64_t, int64_t, int64_t);
template int64_t gemm_scratch_size<double>(int64_t, int64_t, int64_t);
template void gemm<float>(Worker&, TileQueue&, const GemmTiles&, const GemmProblem<float>&,
                          const GemmScratch<float>&);
template void gemm<double>(Worker&, TileQueue&, const GemmTiles&, const GemmProblem<double>&,
                           const GemmScratch<double>&);

}  // namespace gd::ops

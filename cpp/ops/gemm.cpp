#include "ops/gemm.hpp"

#include <algorithm>

#include "ops/gemm_job.hpp"
#include "ops/long_sum.hpp"

namespace gd::ops {

namespace {

// Tiles a worker should find, so that one that is slowed down leaves few of them undone.
constexpr int kTilesPerWorker = 4;
// Below this many multiply-adds a tile costs more to hand out than it balances.
constexpr int64_t kLeastTileWork = 1 << 14;
// From this many elements and rows on, B is packed once by all workers, between two barriers.
constexpr int64_t kLeastSharedB = 1 << 18;
constexpr int64_t kLeastRowsOfSharedB = 336;

// Below this many rows, columns or products a sum, rounding and filling up panels cost more than
// bfloat16 saves: measured on AVX-512, where 28 x 256 x 256 is 1.6 times as fast, 128 x 10 x 64 1.2
// times and 8 x 256 x 256 no faster.
constexpr int64_t kLeastBf16Edge = 16;

// The buffers of one worker, in its share of the scratch memory or in that of worker 0.
template <class T, class Packed>
struct Share {
  T* data;
  const GemmScratchSize& size;
  Packed* a() const { return reinterpret_cast<Packed*>(data); }
  Packed* b() const { return reinterpret_cast<Packed*>(data + size.a); }
  T* piece() const { return data + size.a + size.b; }
  T* sum() const { return piece() + size.piece; }
};

// Calls run(rows, columns) for the tiles that this worker takes.
template <class Unit, class T, class Run>
[[gnu::noinline]] void for_tiles(Worker& worker, TileQueue& queue, const GemmTiles& tiles,
                                 const GemmProblem<T>& problem, const Unit& unit, Run&& run) {
  const auto multiply_tile = [&](int64_t tile) {
    const Range rows =
        parallel::split(problem.m, tiles.rows, static_cast<int>(tile % tiles.rows), unit.blocks.mr);
    const Range columns =
        parallel::split(problem.n, tiles.columns, static_cast<int>(tile / tiles.rows), kPanel);
    if (rows.empty() || columns.empty()) return int64_t{0};
    run(rows, columns);
    return rows.size() * columns.size();
  };
  queue.for_each(worker, tiles.count(), multiply_tile, problem.m * problem.n);
}

// A sum so long that it begins anew within. Apart, so that others do not pay for it.
template <class Unit, class T>
[[gnu::noinline]] void multiply_long(Worker& worker, TileQueue& queue, const GemmTiles& tiles,
                                     const GemmProblem<T>& problem, const GemmScratch<T>& scratch,
                                     const Unit& unit) {
  using Job = TileJob<T, Unit>;
  using Packed = typename Unit::Packed;
  const Share<T, Packed> own{scratch.data + worker.slot() * scratch.size.all(), scratch.size};
  const Share<T, Packed> common{scratch.data, scratch.size};  // nobody may be elsewhere meanwhile
  const LongSum<T> sum(problem, worker.count() == 1 ? own.sum() : common.sum());
  if (tiles.share_b) {
    const typename Job::Buffers buffers{own.a(), common.b(), own.piece()};
    for (int64_t i = 0; i < sum.count(); ++i) {
      if (i > 0 && worker.index() == 0) queue.reset();
      const GemmProblem<T> p = sum.product(i);
      worker.barrier();
      Job(unit, p, {0, p.m}, {0, p.n}, buffers, sum.depths(i))
          .run_shared(worker, queue, tiles.rows);
      worker.barrier();
      sum.add(i, parallel::split(problem.m, worker.count(), worker.index()), {0, problem.n});
    }
    worker.barrier();
    return;
  }
  const typename Job::Buffers buffers{own.a(), own.b(), own.piece()};
  for_tiles(worker, queue, tiles, problem, unit, [&](Range rows, Range columns) {
    for (int64_t i = 0; i < sum.count(); ++i) {
      const GemmProblem<T> product = sum.product(i);
      Job(unit, product, rows, columns, buffers, sum.depths(i)).run();
      sum.add(i, rows, columns);
    }
  });
}

template <class Unit, class T>
void multiply(Worker& worker, TileQueue& queue, const GemmTiles& tiles,
              const GemmProblem<T>& problem, const GemmScratch<T>& scratch) {
  using Job = TileJob<T, Unit>;
  using Packed = typename Unit::Packed;
  const Unit unit(problem.products);
  [[maybe_unused]] const typename Unit::Scope scope(unit);
  if (problem.k > kLongSum) return multiply_long(worker, queue, tiles, problem, scratch, unit);
  const Range depths{0, problem.k};
  const Share<T, Packed> own{scratch.data + worker.slot() * scratch.size.all(), scratch.size};
  typename Job::Buffers buffers{own.a(), own.b(), own.piece()};
  if (tiles.share_b) {
    // Worker 0's: nobody may be elsewhere meanwhile.
    buffers.b = Share<T, Packed>{scratch.data, scratch.size}.b();
    Job job(unit, problem, {0, problem.m}, {0, problem.n}, buffers, depths);
    worker.barrier();
    job.run_shared(worker, queue, tiles.rows);
    worker.barrier();
    return;
  }
  if (tiles.count() == 1 && worker.count() == 1) {
    return Job(unit, problem, {0, problem.m}, {0, problem.n}, buffers, depths).run();
  }
  for_tiles(worker, queue, tiles, problem, unit, [&](Range rows, Range columns) {
    Job(unit, problem, rows, columns, buffers, depths).run();
  });
}

}  // namespace

void GemmScratchSize::cover(const GemmScratchSize& other) {
  a = std::max(a, other.a);
  b = std::max(b, other.b);
  piece = std::max(piece, other.piece);
  sum = std::max(sum, other.sum);
}

// Rows of A that a worker packs at a time.
template <class T>
int64_t rows_of_block(int64_t m, int64_t k, int products) {
  const auto of = [m, k](const auto& unit) { return unit.rows(std::min(k, unit.depth(m, k))); };
  return products > 0 ? of(Bf16Unit(products)) : of(TileUnit<T>());
}

template <class T>
GemmTiles gemm_tiles(int64_t m, int64_t n, int64_t k, int workers, bool packs_b, int products) {
  GemmTiles tiles;
  if (workers == 1 || m == 0 || n == 0) return tiles;
  const GemmBlocks& blocks = typed<T>().blocks;
  if (packs_b && m >= kLeastRowsOfSharedB && n * k >= kLeastSharedB) {
    // As many as balance, unless they would be much lower than a block.
    const int64_t at_once = rows_of_block<T>(m, k, products);
    const int64_t most = std::min<int64_t>(kTilesPerWorker * workers, 2 * m / at_once);
    const int64_t rows = std::max({most, ceil_div(m, at_once), int64_t{1}});
    tiles.rows = static_cast<int>(ceil_div(rows, workers) * workers);
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
GemmScratchSize gemm_scratch_size(int64_t m, int64_t n, int64_t k, int products) {
  if (products > 0) return scratch_size<T>(Bf16Unit(products), m, n, k);
  return scratch_size<T>(TileUnit<T>(), m, n, k);
}

template <class T>
void gemm(Worker& worker, TileQueue& queue, const GemmTiles& tiles, const GemmProblem<T>& problem,
          const GemmScratch<T>& scratch) {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (problem.products > 0) return multiply<Bf16Unit>(worker, queue, tiles, problem, scratch);
  }
  multiply<TileUnit<T>>(worker, queue, tiles, problem, scratch);
}

Precision precision_named(const std::string& name) {
  if (name == "highest") return Precision::highest;
  if (name == "high") return Precision::high;
  base::require<base::ValueError>(name == "medium", "unknown precision '", name,
                                  "', expected one of: highest, high, medium");
  return Precision::medium;
}

int bf16_products(Precision precision, int64_t m, int64_t n, int64_t k) {
  const kernels::Bf16Kernels* const unit = kernels::kernels().bf16;
  const int wanted = precision == Precision::medium ? 1 : 3;
  if (precision == Precision::highest || unit == nullptr || unit->most_products < wanted) return 0;
  return std::min({m, n, k}) < kLeastBf16Edge ? 0 : wanted;
}

template GemmTiles gemm_tiles<float>(int64_t, int64_t, int64_t, int, bool, int);
template GemmTiles gemm_tiles<double>(int64_t, int64_t, int64_t, int, bool, int);
template GemmScratchSize gemm_scratch_size<float>(int64_t, int64_t, int64_t, int);
template GemmScratchSize gemm_scratch_size<double>(int64_t, int64_t, int64_t, int);
template void gemm<float>(Worker&, TileQueue&, const GemmTiles&, const GemmProblem<float>&,
                          const GemmScratch<float>&);
template void gemm<double>(Worker&, TileQueue&, const GemmTiles&, const GemmProblem<double>&,
                           const GemmScratch<double>&);

}  // namespace gd::ops

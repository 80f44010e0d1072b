#pragma once

// What multiplies: the register tile of an instruction set, or its unit for bfloat16, with the
// panels that each reads. gemm_job.hpp is written over these.

#include <algorithm>

#include "base/aligned_buffer.hpp"
#include "base/check.hpp"
#include "kernels/dispatch.hpp"
#include "ops/gemm.hpp"

namespace gd::ops {

using kernels::GemmBlocks;

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class T>
const kernels::TypedKernels<T>& typed() {
  return kernels::kernels().of<T>();
}

// A block that is to be packed: element (k, j) at at[k * depth + j * width].
template <class T>
struct Source {
  const T* at;
  int64_t depth;
  int64_t width;
  int64_t ahead = 0;  // elements from each of these to the one that is packed next; 0: not known
};

// The register tile over T.
template <class T>
struct TileUnit {
  using Packed = T;
  using Tile = kernels::GemmTile<T>;
  static constexpr bool reads_in_place = true;
  static constexpr bool finishes_tiles = true;
  // Of B, that are packed before the next; a whole number of the unit's steps in depth.
  static constexpr int64_t rows_at_once = 8;

  const kernels::TypedKernels<T>& kernels = typed<T>();
  const GemmBlocks& blocks = kernels.blocks;
  static constexpr int64_t depth_step = 1;
  static constexpr bool cuts_parts = false;

  explicit TileUnit(int /*products*/ = 0) {}

  struct Scope {
    explicit Scope(const TileUnit& /*unit*/) {}
  };

  // Of a block, at most. Parts are never cut, as nothing adds them but the register tile.
  int64_t most_depth(int64_t k) const {
    return k > kLongestChain ? std::max(blocks.kc, kLongPart) : blocks.kc;
  }
  int64_t depth(int64_t /*m*/, int64_t k) const { return most_depth(k); }

  // Rows a tile where `rows` are to be done: equal ones, since a last tile of a row or two would
  // leave the multipliers idle.
  int64_t height(int64_t rows) const {
    return rows <= blocks.mr ? rows : ceil_div(rows, ceil_div(rows, blocks.mr));
  }
  // Rows of a block of A that deep.
  int64_t rows(int64_t /*depth*/) const { return blocks.mc; }
  int64_t panel(int64_t depth, int64_t width) const { return depth * width; }
  // Elements of a row of a packed B of `width` columns, of at most nr: no more than these.
  int64_t row_of_b(int64_t width) const { return width; }
  void start(Tile& /*tile*/, int64_t /*depth*/) const {}
  void set_depth(Tile& tile, int64_t depth) const { tile.depth = depth; }
  // Elements that a tile of that depth fetches ahead.
  int64_t fetched(int64_t depth) const { return depth * base::padded<T>(1); }

  void pack_a(int64_t depth, int64_t width, const Source<T>& from, T* to, int64_t height,
              int64_t /*panel*/) const {
    kernels.pack({depth, width, from.at, from.depth, from.width, to, height, from.ahead});
  }
  void pack_b(int64_t depth, int64_t width, const Source<T>& from, T* to, int64_t /*panel*/) const {
    kernels.pack({depth, width, from.at, from.depth, from.width, to, width, from.ahead});
  }

  void set_a(Tile& tile, const T* panel, int64_t height) const {
    tile.a = panel;
    tile.a_row = 1;
    tile.a_depth = height;
  }
  void set_b(Tile& tile, int64_t width, const T* panel) const {
    tile.b = panel;
    tile.b_depth = width;
  }
  void multiply(const Tile& tile) const { kernels.gemm(tile); }
};

// The unit for bfloat16: packing is where numbers are rounded, so that nothing is read in place.
struct Bf16Unit {
  using Packed = uint16_t;
  using Tile = kernels::Bf16Tile;
  static constexpr bool reads_in_place = false;
  static constexpr bool finishes_tiles = false;
  static constexpr int64_t rows_at_once = 32;
  static constexpr bool cuts_parts = true;
  static constexpr int64_t kFewRows = 512;

  const kernels::Bf16Kernels& kernels = *kernels::kernels().bf16;
  GemmBlocks blocks = kernels.blocks;
  int64_t depth_step = kernels.depth_step;
  int products;

  explicit Bf16Unit(int count) : products(count) {
    if (products == 3) blocks.kc /= 2;  // a panel with its low parts is twice as large
  }

  // In which the thread may multiply: configuring tiles takes some 30 ns, which others need not
  // pay.
  class Scope {
   public:
    explicit Scope(const Bf16Unit& unit) : kernels_(unit.kernels), entered_(unit.kernels.enter()) {}
    ~Scope() { kernels_.leave(entered_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    const kernels::Bf16Kernels& kernels_;
    bool entered_;
  };

  int64_t most_depth(int64_t /*k*/) const { return blocks.kc; }
  // A few rows of A stay in L2 with B's panels if those are short: on tiles 15 % of a product of
  // 256 rows, where more rows gain as much by reading and writing C less often.
  int64_t depth(int64_t m, int64_t) const {
    return products == 3 && m <= kFewRows ? std::min(blocks.kc, blocks.cut) : blocks.kc;
  }

  int64_t height(int64_t) const { return blocks.mr; }
  // Of less depth as many more: what counts is the memory that is read again for each panel of B.
  int64_t rows(int64_t depth) const {
    return std::max<int64_t>(1, blocks.kc / std::max(kernels.panel_size(depth, 1), blocks.cut)) *
           blocks.mc;
  }
  int64_t row_of_b(int64_t) const { return blocks.nr; }
  // With three products a panel of low parts follows that of the high ones.
  int64_t panel(int64_t depth, int64_t width) const {
    return kernels.panel_size(depth, width) * (products == 3 ? 2 : 1);
  }
  int64_t low(int64_t panel) const { return products == 3 ? panel / 2 : 0; }
  void start(Tile& tile, int64_t depth) const {
    tile.products = products;
    tile.a_low = low(panel(depth, blocks.mr));
    tile.b_low = low(panel(depth, blocks.nr));
  }
  void set_depth(Tile& tile, int64_t depth) const { tile.depth = kernels.panel_size(depth, 1); }
  int64_t fetched(int64_t depth) const {
    return ceil_div(depth, depth_step) * kernels::kLinesAhead * base::padded<Packed>(1);
  }

  void pack_a(int64_t depth, int64_t width, const Source<float>& from, uint16_t* to,
              int64_t /*height*/, int64_t panel) const {
    kernels.pack_a({depth, width, from.at, from.depth, from.width, to, low(panel)});
  }
  void pack_b(int64_t depth, int64_t width, const Source<float>& from, uint16_t* to,
              int64_t panel) const {
    kernels.pack_b({depth, width, from.at, from.depth, from.width, to, low(panel)});
  }

  void set_a(Tile& tile, const uint16_t* panel, int64_t) const { tile.a = panel; }
  void set_b(Tile& tile, int64_t /*width*/, const uint16_t* panel) const { tile.b = panel; }
  void multiply(const Tile& tile) const { kernels.gemm(tile); }
};

// Enough for every smaller problem too: a last batch has fewer rows, of which more go into a block.
template <class T, class Unit>
GemmScratchSize scratch_size(const Unit& unit, int64_t m, int64_t n, int64_t k) {
  const GemmBlocks& blocks = unit.blocks;
  const int64_t depth = std::min(k, unit.most_depth(k));
  const auto size = [&](int64_t elements) {
    const int64_t bytes = elements * static_cast<int64_t>(sizeof(typename Unit::Packed));
    return base::padded<T>(ceil_div(bytes, sizeof(T)));
  };
  const int64_t most_rows = std::min(m, unit.rows(1));
  const int64_t panel_a = unit.panel(depth, blocks.mr);
  const int64_t block_a =
      ceil_div(blocks.mc, blocks.mr) * unit.panel(unit.most_depth(k), blocks.mr);
  return {
      size(std::min(ceil_div(most_rows, blocks.mr) * panel_a, block_a)),
      size(ceil_div(std::min(n, blocks.nc), blocks.nr) * unit.panel(depth, blocks.nr)),
      base::padded<T>(most_rows * std::min(n, base::kPanel)),
      k <= 2 * kLongSum ? 0 : base::padded<T>(base::checked_product(m, n, "elements of a sum"))};
}

}  // namespace gd::ops

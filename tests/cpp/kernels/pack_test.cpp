#include "cpp/kernels/support.hpp"

using gd::kernels::PackBlock;
using gd::kernels::TypedKernels;
using gd::testing::Matrix;

namespace {

struct Strides {
  int64_t depth, width;
};
// Rows of the source side by side, its columns, and neither.
constexpr Strides kStrides[] = {{40, 1}, {1, 37}, {3, 38}, {0, 1}, {1, 0}};
constexpr int64_t kDepths[] = {0, 1, 2, 7, 8, 15, 16, 17, 33};

template <class T>
bool is_packed(const PackBlock<T>& block) {
  for (int64_t k = 0; k < block.depth; ++k) {
    for (int64_t j = 0; j < block.to_depth; ++j) {
      const T want =
          j < block.width ? block.from[k * block.from_depth + j * block.from_width] : T(0);
      if (block.to[k * block.to_depth + j] != want) return false;
    }
  }
  return true;
}

// Every element that a block reads, and none behind them.
template <class T>
std::vector<T> just_enough(Strides by, int64_t depth, int64_t width) {
  const int64_t last = depth == 0 ? -1 : (depth - 1) * by.depth + (width - 1) * by.width;
  return gd::testing::normals<T>(last + 1, 7);
}

template <class T, class Body>
void for_blocks(const std::vector<int64_t>& to_depths, Body body) {
  for (const Strides by : kStrides) {
    for (const int64_t depth : kDepths) {
      for (const int64_t to_depth : to_depths) {
        for (const int64_t width : {int64_t{1}, to_depth / 2, to_depth - 1, to_depth}) {
          if (width < 1) continue;
          body(by, depth, width, to_depth,
               gd::testing::text(" ", depth, "x", width, " to ", to_depth, " by ", by.depth, ", ",
                                 by.width));
        }
      }
    }
  }
}

}  // namespace

TEST(pack_copies_a_block_and_fills_it_up) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& kernels,
                                           const TypedKernels<T>&) {
    Matrix<T> from(4096);
    Matrix<T> to(4096);
    const std::vector<int64_t> to_depths = {kernels.blocks.mr, kernels.blocks.nr, 16, 31, 48};
    for_blocks<T>(to_depths, [&](Strides by, int64_t depth, int64_t width, int64_t to_depth,
                                 const std::string& where) {
      const std::vector<T> values = just_enough<T>(by, depth, width);
      from.shape(1, static_cast<int64_t>(values.size())).fill(values);
      to.shape(1, depth * to_depth);
      const PackBlock<T> block{depth, width, from.data(), by.depth, by.width, to.data(), to_depth};
      kernels.pack(block);
      CHECK_AT(is_packed(block) && to.surroundings_untouched(), isa, where);
    });
  });
}

// Narrower than a vector: there is little room to run over into.
TEST(pack_writes_nothing_behind_a_narrow_block) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        const std::vector<T> values = gd::testing::normals<T>(4096, 8);
        const T untouched = T(1234.5);
        std::vector<int64_t> narrow;
        for (int64_t to_depth = 1; to_depth < 16; ++to_depth) narrow.push_back(to_depth);
        for_blocks<T>(narrow, [&](Strides by, int64_t depth, int64_t width, int64_t to_depth,
                                  const std::string& where) {
          std::vector<T> to(static_cast<size_t>(depth * to_depth + 64), untouched);
          const PackBlock<T> block{depth,    width,     values.data(), by.depth,
                                   by.width, to.data(), to_depth};
          kernels.pack(block);
          bool whole = is_packed(block);
          for (auto i = static_cast<size_t>(depth * to_depth); i < to.size(); ++i) {
            whole = whole && to[i] == untouched;
          }
          CHECK_AT(whole, isa, where);
        });
      });
}

#pragma once

// How a step is shared among workers, decided from shapes. Nothing here changes a result: what does
// is in sum_order.hpp.

#include <cstdint>

#include "plan/sum_order.hpp"

namespace gd::plan {

// Elements from a row to the next in buffers of our own, for rows of `cols` elements of `size`
// bytes. Rows a large power of two apart would evict each other from L1 when a matmul reads several
// at once.
constexpr int64_t buffer_stride(int64_t cols, int64_t size) {
  constexpr int64_t line = 64;
  return cols * size % 1024 == 0 ? cols + line / size : cols;
}

// The arithmetic of one pass of an elementwise rule, roughly: two operations for the weight and for
// each of its states.
constexpr int64_t update_flops(int64_t size, int states) { return 2 * size * (1 + states); }
// Its traffic: weight and states are read and written, the gradient is read.
constexpr int64_t update_bytes(int64_t size, int states, int64_t element_size) {
  return size * (3 + 2 * states) * element_size;
}

// Workers for that pass alone, which moves memory and does little else.
int update_workers(int64_t size, int states, int most);

// samples: each worker takes parts of the batch through all layers, and they meet once, to add
// their gradients and update. tiles: all workers share each operation, each always the same
// columns of a layer, so that it owns neurons with their weights and optimizer states.
enum class SharedBy : uint8_t { samples, tiles };

// How a batch is shared.
struct Sharing {
  int workers = 1;
  SharedBy by = SharedBy::tiles;
};

// What that is chosen from.
struct StepShape {
  int64_t rows = 0;
  int64_t flops = 0;       // of the whole step
  int64_t parameters = 0;  // with the gaps between them
  int64_t part = kSumPart;
};

// For a whole training step on at most `most` workers.
Sharing choose_sharing(const StepShape& step, int most);

// Nanoseconds to wait for a worker that others keep from its core before a step of so much
// arithmetic goes on without it: a twentieth, roughly, of what it takes one worker alone.
constexpr int64_t patience_for(int64_t flops) { return flops / 2000; }

// A step of so much arithmetic, some half a millisecond, is shared operation by operation by a team
// of two, so that the hired worker can give way and come back in its midst.
constexpr int64_t kLeastFlopsInStages = 100'000'000;
// Nanoseconds to wait for it before an operation within which the two meet.
constexpr int64_t kPatienceForStage = 20'000;

// Fewer rows take as long as these, since they move the same weights: with a row or two a product
// reads memory, and does nearly nothing else.
constexpr int64_t kRowsAWeightPays = 8;

// How many of at most `most` workers to share `flops` by tiles are worth it.
int workers_for(int64_t flops, int most);

}  // namespace gd::plan

#pragma once

// What an instruction set offers: plain functions over plain pointers, chosen once by dispatch.hpp.
// No function here allocates, starts threads or looks anything up.

#include <cstdint>

#include "kernels/formulas/names.hpp"

namespace gd::kernels {

// Numbers that a formula may ask for; what it declares is held against them where it is compiled.
inline constexpr int kMaxParameters = 8;  // of an activation or a loss
inline constexpr int kMaxStates = 4;      // of an update rule
inline constexpr int kMaxScalars = 16;
inline constexpr int kMaxKept = 4;  // numbers that a rule keeps between steps

// How many names "a,b,c" has.
constexpr int count_names(const char* names) {
  int count = *names == '\0' ? 0 : 1;
  for (; *names != '\0'; ++names) count += *names == ',' ? 1 : 0;
  return count;
}

// ---- matmul ----

// How a tile meets what is already in C. A chain is one sequence of fused multiply-adds.
enum class Chain : uint8_t {
  start,     // C = chain from zero
  go_on,     // the chain starts from C: the next block of the same chain
  add_part,  // C = C + (chain from zero): the next part of a split sum
};

// What a register tile does with its sums, bias and all, before they are written: nothing, or the
// commonest activation, forward or backward. Others make a pass of their own.
enum class Finish : uint8_t { none, relu, relu_gradient };

// The register tile (mr x nr) and the cache blocks that suit it, in elements.
struct GemmBlocks {
  int mr;
  int nr;
  int64_t mc;
  int64_t kc;
  int64_t nc;
  int64_t cut;  // of kc, that a register tile takes at once, between which sums stay in L2
};

// One register tile: c[i][j] (+)= sum over k of a[i, k] b[k, j], each element one chain in
// increasing k. A is read at a[i * a_row + k * a_depth], B at b[k * b_depth + j].
template <class T>
struct GemmTile {
  int64_t depth;
  const T* a;
  int64_t a_row;
  int64_t a_depth;
  const T* b;
  int64_t b_depth;
  T* c;
  int64_t ldc;
  int rows;       // <= mr
  int cols;       // <= nr
  const T* bias;  // cols elements added after the last product, or null
  Chain chain;
  Finish finish = Finish::none;
  const T* saved = nullptr;  // for relu_gradient, of C's shape: relu's output
  int64_t lds = 0;
  const T* before = nullptr;  // C as it was, for go_on and add_part; null: in C itself
  int64_t ld_before = 0;
  const T* ahead = nullptr;  // depth cache lines that are wanted soon, or null
};

// Copies a (depth x width) block of a matrix, element (k, j) at from[k * from_depth + j *
// from_width], to to[k * to_depth + j], and zero-fills each row up to to_depth.
template <class T>
struct PackBlock {
  int64_t depth;
  int64_t width;
  const T* from;
  int64_t from_depth;
  int64_t from_width;
  T* to;
  int64_t to_depth;
  int64_t ahead = 0;  // elements from each of these to the one that is read next; 0: not known
};

// ---- float32 matrices multiplied through bfloat16 ----

// x = high + low + rest: high is x rounded to bfloat16 (to nearest even), low is x - high rounded
// likewise. One product is high * high; three are high * high + high * low + low * high. Sums are
// float32. Denormal parts and sums count as 0; a number that is not finite makes what it reaches
// not finite.

// Copies a (depth x width) block of a matrix, element (k, x) at from[k * from_depth + x *
// from_width], into a panel in the unit's own order, and zero-fills both sizes up to the panel's.
struct Bf16Pack {
  int64_t depth;
  int64_t width;  // <= mr or nr
  const float* from;
  int64_t from_depth;
  int64_t from_width;
  uint16_t* to;  // Bf16Kernels::panel_size elements
  int64_t low;   // the low parts' panel, as large, begins at to + low; 0: high parts alone
};

// One register tile: c[i][j] (+)= sum over k of a[i, k] b[k, j].
struct Bf16Tile {
  int64_t depth;  // as packed
  const uint16_t* a;
  int64_t a_low;
  const uint16_t* b;
  int64_t b_low;
  int products;  // 1, or 3 with low parts in both panels
  float* c;
  int64_t ldc;
  int rows;           // <= mr
  int cols;           // <= nr
  const float* bias;  // cols elements added after the last product, or null
  Chain chain;
  const float* before = nullptr;  // C as it was, for go_on and add_part; null: in C itself
  int64_t ld_before = 0;
  const uint16_t* ahead = nullptr;  // cache lines that are wanted soon, kLinesAhead a depth step
};

inline constexpr int kLinesAhead = 4;

struct Bf16Kernels {
  const char* unit;
  GemmBlocks blocks;                      // kc is a multiple of depth_step
  int depth_step;                         // panels are filled up to a multiple of this depth
  int most_products;                      // with which the unit still beats float32: 1 or 3
  void (*pack_a)(const Bf16Pack& block);  // mr wide
  void (*pack_b)(const Bf16Pack& block);  // nr wide
  void (*gemm)(const Bf16Tile& tile);
  // Does about `rounds` times some dozen dot products in registers; returns the exact number of
  // floating-point operations. For measuring the peak.
  int64_t (*peak)(int64_t rounds, float* sink);
  // Readies the calling thread for gemm and peak, within enter() of its table; leave() gets what
  // that returned. May be nested.
  bool (*enter)();
  void (*leave)(bool entered);

  // Elements of one panel, mr or nr wide.
  int64_t panel_size(int64_t depth, int64_t width) const {
    return (depth + depth_step - 1) / depth_step * depth_step * width;
  }
};

// ---- activations ----

template <class T>
struct ActivationKernel {
  const char* name;
  const char* parameters;  // names, separated by commas
  bool from_output;        // backward needs a (else z)
  bool row_wise;           // needs whole rows (softmax)
  bool in_tile;            // a register tile can finish with it: relu
  // a = f(z); a may be z. All matrices are rows x cols with their own strides.
  void (*forward)(int64_t rows, int64_t cols, const T* z, int64_t ldz, T* a, int64_t lda,
                  const T* parameters);
  // g = g * f'(saved), with saved = a or z as from_output says.
  void (*backward)(int64_t rows, int64_t cols, const T* saved, int64_t lds, T* g, int64_t ldg,
                   const T* parameters);
  // Of one row with its derivatives in some directions, all (1 + directions, cols); null where the
  // formula has no second derivative. a = f(z), and a' = f'(z) z' in each direction.
  void (*tangents)(int64_t cols, int64_t directions, const T* z, T* a,
                   const T* parameters) = nullptr;
  // The gradient at a and each a' becomes that at z and each z': g = f' g + f'' (the sum over
  // directions of z' g'), g' = f' g'.
  void (*curve)(int64_t cols, int64_t directions, const T* saved, const T* z, T* g,
                const T* parameters) = nullptr;
};

// ---- losses ----

// What a loss compares predictions with.
enum class Targets : uint8_t {
  any,         // real numbers
  unit,        // real numbers within [0, 1]
  categories,  // a label a sample, or a distribution over the outputs
  counts,      // real numbers of at least 0
  signs,       // -1 and 1
};

// What a loss may be given beside its parameters, as many numbers as there are outputs or parts.
enum class LossArray : uint8_t {
  none,
  outputs,  // one an output, or none: then all are 1
  parts,    // one a part: see LossKernel
};

template <class T>
struct LossRows {
  int64_t rows;
  int64_t outputs;
  const T* prediction;
  int64_t ldp;
  const T* target;  // (rows, outputs), or null when labels are given
  int64_t ldt;
  const int64_t* labels;  // (rows,) class indices, or null
  const T* weights;       // (rows,), or null for ones
  double weight_sum;      // of the batch: the gradient of sample i is weighted by w_i / weight_sum
  const T* parameters;
  T* sample_loss;  // (rows,): each sample's own loss, unweighted
  T* gradient;     // (rows, outputs), or null when only the loss is wanted
  int64_t ldg;
  const T* array = nullptr;  // (outputs,), or null; see LossArray
};

template <class T>
struct LossKernel {
  const char* name;
  const char* parameters;
  Targets targets;
  void (*run)(const LossRows<T>& rows);
  const char* array_name;  // "": it takes none
  LossArray array;
  // Outputs lie in so many parts, each as wide as the targets that were given; the kernel sees
  // these once a part. 0: as many as the array has numbers.
  int parts;
  int any_targets_if;  // the parameter that makes targets any number; -1: none does
  // Whether the array's number at a label counts in the sum of weights: a batch's loss is then
  // divided by that of its samples, and what has the label `ignore_index` does not count.
  bool weighs_labels;
};

// ---- update rules ----

// What a rule reads beside the weight's own gradient.
enum class RuleNeeds : uint8_t { elementwise, norm, matrix, closure };

// One pass over a flat span: w and the states are read once and written once.
template <class T>
struct RuleSpan {
  int64_t size;
  T* weights;
  const T* gradients;
  T* states[kMaxStates];
  const T* scalars;  // from prepare()
};

template <class T>
struct RuleKernel {
  const char* name;
  const char* parameters;
  int (*variant)(const double* hyper);  // which compiled form these hyperparameters need
  int (*states)(const double* hyper);   // how many state arrays
  int kept;  // how many numbers it keeps from step to step, zero before the first
  // The step's scalars from the hyperparameters, the rate, the step number (from 1) and what is
  // kept, which goes on with that.
  void (*prepare)(const double* hyper, double lr, int64_t step, double* kept, double* scalars);
  // Null: the weights that are trained are those to evaluate with. Else these are w + s state[0].
  double (*evaluation)(const double* hyper);       // s
  void (*const* update)(const RuleSpan<T>& span);  // indexed by variant
};

// ---- reductions over 16 virtual lanes in a fixed tree ----

template <class T>
struct ReduceKernels {
  T (*sum)(int64_t size, const T* x);
  T (*sum_squares)(int64_t size, const T* x);
  bool (*all_finite)(int64_t size, const T* x);
  // out[j] = (add ? out[j] : 0) + the chain of additions over rows
  void (*column_sum)(int64_t rows, int64_t cols, const T* x, int64_t ldx, bool add, T* out);
  // sum[i] = x[i] + parts[i] + parts[stride + i] + ..., in this order; sum may be x
  void (*add_parts)(int64_t size, const T* x, const T* parts, int64_t stride, int64_t count,
                    T* sum);
};

// ---- rows of a layer ----

// y = (x - mean) r gamma + beta, r = 1 / sqrt(mean((x - mean)^2) + eps), by rows; not centered:
// mean is 0. All matrices are rows x cols.
template <class T>
struct NormRows {
  int64_t rows;
  int64_t cols;
  bool centered;
  T eps;
  const T* x;
  int64_t ldx;
  const T* gamma;  // (cols,), or null for ones
  const T* beta;   // (cols,), or null for zeros
  T* y;
  int64_t ldy;
  T* stats;  // (rows, 2): mean and r
  int64_t lds;
};

template <class T>
struct NormGradientRows {
  int64_t rows;
  int64_t cols;
  bool centered;
  const T* x;
  int64_t ldx;
  const T* gamma;  // (cols,), or null for ones
  const T* stats;  // as norm_forward left them
  int64_t lds;
  const T* g;  // the gradient at y
  int64_t ldg;
  T* each;  // what a row gives to the gradient at gamma; null: not wanted
  int64_t lde;
  T* gx;  // the gradient at x; null: not wanted
  int64_t ldgx;
};

// Some columns of a batch. Sums over rows go in parts of so many, which are added in order.
template <class T>
struct ColumnRows {
  int64_t rows;
  int64_t cols;
  int64_t part;
  const T* x;
  int64_t ldx;
};

// y = (x - mean) (root gamma) + beta, one of each for a column; y may be x.
template <class T>
struct ColumnNormRows {
  int64_t rows;
  int64_t cols;
  const T* x;
  int64_t ldx;
  const T* mean;
  const T* root;   // 1 / sqrt(var + eps)
  const T* gamma;  // or null for ones
  const T* beta;   // or null for zeros
  T* y;
  int64_t ldy;
};

template <class T>
struct ColumnGradientRows {
  int64_t rows;
  int64_t cols;
  int64_t part;
  const T* x;
  int64_t ldx;
  const T* mean;
  const T* root;
  const T* gamma;  // or null for ones
  T* g;            // the gradient at y, which becomes that at x
  int64_t ldg;
};

// to = a + b, or a factor, or that where b is not -0, else 0; to may be a or b.
template <class T>
struct ElementRows {
  int64_t rows;
  int64_t cols;
  const T* a;
  int64_t lda;
  const T* b;  // null: not read
  int64_t ldb;
  T* to;
  int64_t ldto;
  T factor;
};

// y = -0 with probability threshold / 2^16, else x scale and no -0; y may be x.
template <class T>
struct DropoutRows {
  int64_t rows;
  int64_t cols;
  int64_t first_col;  // of x and y in their rows
  const T* x;
  int64_t ldx;
  T* y;
  int64_t ldy;
  T scale;
  uint32_t threshold;
  uint32_t key[2];
  uint32_t step;
  uint32_t layer;
  int64_t first_row;  // in the batch
};

// y = cos(2 pi w x + b), or without b cos(2 pi w x) and beside it sin(2 pi w x), each number of a
// row by frequencies of its own.
template <class T>
struct PeriodicRows {
  int64_t rows;
  int64_t features;
  int64_t frequencies;
  const T* x;  // (rows, features)
  int64_t ldx;
  const T* weight;  // (features, frequencies)
  const T* phase;   // the same, or null
  T* y;             // (rows, features frequencies), or twice as many columns
  int64_t ldy;
};

template <class T>
struct PeriodicGradientRows {
  PeriodicRows<T> of;  // as it was made
  const T* g;          // the gradient at y
  int64_t ldg;
  T* each_weight;  // (rows, features frequencies): what a row gives to the gradient at weight
  int64_t ldw;
  T* each_phase;  // and at phase, where there is one
  int64_t ldp;
  T* gx;  // the gradient at x; null: not wanted
  int64_t ldgx;
};

template <class T>
struct LayerKernels {
  void (*norm_forward)(const NormRows<T>& rows);
  void (*norm_backward)(const NormGradientRows<T>& rows);
  // Means and variances, one a column.
  void (*column_moments)(const ColumnRows<T>& rows, T* mean, T* var);
  void (*column_norm)(const ColumnNormRows<T>& rows);
  // The sums over rows of g and of g (x - mean) root, which are the gradients at beta and gamma.
  void (*column_slopes)(const ColumnGradientRows<T>& rows, T* plain, T* tilted);
  // With these sums; without, mean and root are no part of what is differentiated.
  void (*column_gradient)(const ColumnGradientRows<T>& rows, const T* plain, const T* tilted);
  void (*dropout)(const DropoutRows<T>& rows);
  void (*add)(const ElementRows<T>& rows);
  void (*scale)(const ElementRows<T>& rows);
  void (*keep)(const ElementRows<T>& rows);
  void (*periodic_forward)(const PeriodicRows<T>& rows);
  void (*periodic_backward)(const PeriodicGradientRows<T>& rows);
};

// ---- tables ----

// Tables side by side: y[i, column + j] = table[x[i, k], j] for table k, whose rows lie one after
// the other.
struct LookupTable {
  int64_t offset;  // in the parameters
  int64_t width;
  int64_t column;
  bool is_large;  // more than the caches hold: rows are fetched ahead
};

template <class T>
struct LookupRows {
  int64_t rows;
  int64_t tables;
  const LookupTable* table;
  const T* parameters;
  const T* codes;  // (rows, tables)
  int64_t ldc;
  T* y;
  int64_t ldy;
};

// That row `row` of a batch reads row `code` of a table.
struct TableEntry {
  uint32_t code;
  uint32_t row;
};

// The same so many times.
template <class T>
struct WeightedEntry {
  uint32_t code;
  uint32_t row;
  T weight;
};

// to[j] = (add ? to[j] : 0) + the chain of additions of from[row, j], or of multiply-adds of
// weight from[row, j], over entries.
template <class T, class Entry = TableEntry>
struct EntrySum {
  int64_t count;
  const Entry* entries;
  int64_t width;
  const T* from;
  int64_t ldf;
  bool add;
  T* to;
};

// y[u] = the chain of multiply-adds of values[e] w[columns[e], u] over a sparse row's elements,
// then bias[u]; w (inputs, units).
template <class T>
struct SparseRow {
  int64_t count;
  const int32_t* columns;
  const T* values;
  int64_t units;
  const T* weight;
  const T* bias;  // or null
  T* y;
};

template <class T>
struct TableKernels {
  void (*lookup)(const LookupRows<T>& rows);
  void (*entry_sum)(const EntrySum<T>& sum);
  void (*weighted_sum)(const EntrySum<T, WeightedEntry<T>>& sum);
  void (*sparse_row)(const SparseRow<T>& row);
};

#define GD_COUNT(name) +1
inline constexpr int kActivations = 0 GD_ACTIVATIONS(GD_COUNT);
inline constexpr int kLosses = 0 GD_LOSSES(GD_COUNT);
inline constexpr int kRules = 0 GD_RULES(GD_COUNT);
#undef GD_COUNT

template <class T>
struct TypedKernels {
  GemmBlocks blocks;
  void (*gemm)(const GemmTile<T>& tile);
  void (*pack)(const PackBlock<T>& block);
  // Does about `rounds` times a few dozen multiply-adds in registers; returns the exact number of
  // floating-point operations. For measuring the peak.
  int64_t (*fma_peak)(int64_t rounds, T* sink);
  ReduceKernels<T> reduce;
  LayerKernels<T> layers;
  TableKernels<T> tables;
  void (*scale)(int64_t size, T factor, T* x);
  ActivationKernel<T> activations[kActivations];
  LossKernel<T> losses[kLosses];
  RuleKernel<T> rules[kRules];
};

struct KernelTable {
  const char* isa;
  // A worker's state: round to nearest, denormals are zeros. leave() restores what was. They nest.
  uint64_t (*enter)();
  void (*leave)(uint64_t state);
  TypedKernels<float> f32;
  TypedKernels<double> f64;
  const Bf16Kernels* bf16;  // null where the instruction set has no such unit

  template <class T>
  const TypedKernels<T>& of() const {
    if constexpr (sizeof(T) == sizeof(float))
      return f32;
    else
      return f64;
  }
};

}  // namespace gd::kernels

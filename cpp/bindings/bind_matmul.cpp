#include <pybind11/stl.h>

#include "base/aligned_buffer.hpp"
#include "base/check.hpp"
#include "bindings/arrays.hpp"
#include "bindings/bind.hpp"
#include "ops/gemm.hpp"
#include "parallel/cpus.hpp"
#include "plan/cost_model.hpp"
#include "profiling/recorder.hpp"
#include "train/pace.hpp"

namespace gd::bindings {

using base::fail;
using base::require;
using base::TypeError;
using base::ValueError;

namespace {

template <class T>
struct Operand {
  py::array_t<T> held;
  int64_t rows;
  int64_t cols;
  int64_t row_stride;  // in elements
  int64_t col_stride;
};

template <class T>
bool usable_as_is(const py::array& array) {
  const auto size = static_cast<py::ssize_t>(sizeof(T));
  return py::isinstance<py::array_t<T>>(array) && (array.flags() & kAligned) != 0 &&
         array.strides(0) % size == 0 && array.strides(1) % size == 0;
}

// Strided views need no copy: the kernels read any strides.
template <class T>
Operand<T> operand(const py::array& array, std::string_view name, bool transpose) {
  Operand<T> result;
  result.held = usable_as_is<T>(array) ? py::reinterpret_borrow<py::array_t<T>>(array)
                                       : real_array<T>(array, name);
  const auto size = static_cast<int64_t>(sizeof(T));
  result.rows = result.held.shape(0);
  result.cols = result.held.shape(1);
  result.row_stride = result.held.strides(0) / size;
  result.col_stride = result.held.strides(1) / size;
  if (transpose) {
    std::swap(result.rows, result.cols);
    std::swap(result.row_stride, result.col_stride);
  }
  return result;
}

template <class T>
py::array_t<T> checked_out(const py::object& out, int64_t rows, int64_t cols, const py::array& a,
                           const py::array& b) {
  if (!py::isinstance<py::array_t<T>>(out))
    fail<TypeError>("out must be a ", kDtype<T>, " array, got ",
                    py::isinstance<py::array>(out)
                        ? dtype_name(py::reinterpret_borrow<py::array>(out))
                        : std::string(py::str(py::type::of(out).attr("__name__"))));
  auto array = py::reinterpret_borrow<py::array_t<T>>(out);
  if (array.ndim() != 2 || array.shape(0) != rows || array.shape(1) != cols)
    fail<ValueError>("out must have shape ", shape_text({rows, cols}), ", got ", shape_text(array));
  require<ValueError>(array.writeable(), "out must be writable, got a read-only array");
  const bool contiguous = (array.flags() & kContiguous) != 0;
  const bool aligned = (array.flags() & kAligned) != 0;
  if (!contiguous || !aligned)
    fail<ValueError>("out must be C-contiguous and aligned, got strides ",
                     std::string(py::str(array.attr("strides"))));
  const py::object shares = py::module_::import("numpy").attr("may_share_memory");
  for (const py::array* other : {&a, &b}) {
    require<ValueError>(!called(shares, out, *other).template cast<bool>(),
                        "out must not share memory with a or b");
  }
  return array;
}

template <class T>
void run(const ops::GemmProblem<T>& p, int threads) {
  const int workers = plan::workers_for(2 * p.m * p.n * p.k, threads);
  const ops::GemmScratchSize scratch_size = ops::gemm_scratch_size<T>(p.m, p.n, p.k, p.products);
  // Kept from call to call: fresh pages would cost a product of 1024 x 1024 two percent.
  thread_local base::AlignedBuffer<T> scratch;
  if (scratch.size() < scratch_size.all() * workers) {
    scratch = base::AlignedBuffer<T>(scratch_size.all() * workers);
  }
  T* const packed = scratch.data();  // a worker would see the thread_local of its own thread
  ops::TileQueue queue(workers);
  const ops::GemmTiles tiles = ops::gemm_tiles<T>(p.m, p.n, p.k, workers, true, p.products);
  const profiling::Amount amount{
      2 * p.m * p.n * p.k, (p.m * p.k + p.k * p.n + p.m * p.n) * static_cast<int64_t>(sizeof(T))};
  const profiling::Region region(profiling::RegionKind::other, profiling::Zone::kCaller,
                                 {.purpose = profiling::Purpose::product});
  ops::run_collective(*parallel::acquire_team(workers), [&](ops::Worker& worker) {
    profiling::Lane* const lane = worker.lane();
    if (lane != nullptr) lane->begin(profiling::zone_id(profiling::Zone::kMatmul));
    ops::gemm(worker, queue, tiles, p, {packed, scratch_size});
    if (lane != nullptr) lane->end(amount);
  });
}

// Column by column of the product, and a long one in parts, so that Ctrl-C is seen meanwhile. No
// element depends on which others there are.
template <class T>
void run_in_pieces(const ops::GemmProblem<T>& p, int threads, Interrupts& interrupts) {
  const double flops =
      2.0 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  if (flops <= static_cast<double>(train::Pace::first())) return run(p, threads);
  // Fewer rows at a time would have B packed more often, fewer columns fill no register tile: less
  // is taken only of a product so deep that this alone would take long.
  constexpr int64_t kMost = int64_t{1} << 32;
  int64_t rows = std::min<int64_t>(p.m, 2048);
  int64_t columns = std::min<int64_t>(p.n, 128);
  while (rows > 64 && 2 * rows * columns * p.k > kMost) rows = std::max<int64_t>(64, rows / 2);
  while (columns > 32 && 2 * rows * columns * p.k > kMost)
    columns = std::max<int64_t>(32, columns / 2);
  if (p.n < 128) {
    const int64_t flops_a_row = 2 * columns * p.k;
    rows = std::clamp(train::Pace::first() / 4 / flops_a_row, rows, p.m);
  }
  const int64_t units = (p.n + columns - 1) / columns * ((p.m + rows - 1) / rows);
  train::Pace pace(units, 2 * rows * columns * p.k);
  for (int64_t row = 0; row < p.m; row += rows) {
    for (int64_t col = 0; col < p.n;) {
      const int64_t left = (p.n - col + columns - 1) / columns;
      const int64_t taken = pace.next(left);
      ops::GemmProblem<T> piece = p;
      piece.m = std::min(rows, p.m - row);
      piece.n = std::min(taken * columns, p.n - col);
      piece.a += row * p.a_row;
      piece.b += col * p.b_col;
      piece.c += row * p.c_row + col;
      run(piece, threads);
      col += piece.n;
      pace.done(taken);
      if ((col < p.n || row + rows < p.m) && interrupts()) return;
    }
  }
}

template <class T>
py::array_t<T> multiply(const py::array& a_in, const py::array& b_in, bool transpose_a,
                        bool transpose_b, const py::object& out, const std::string& precision,
                        std::optional<int> num_threads) {
  const Operand<T> a = operand<T>(a_in, "a", transpose_a);
  const Operand<T> b = operand<T>(b_in, "b", transpose_b);
  if (a.cols != b.rows)
    fail<ValueError>("a and b do not fit: a is ", shape_text({a.rows, a.cols}),
                     transpose_a ? " after transposing" : "", " and b is ",
                     shape_text({b.rows, b.cols}), transpose_b ? " after transposing" : "");
  base::checked_product(base::checked_product(a.rows, b.cols, "elements of the product"), sizeof(T),
                        "bytes of the product");
  const int threads = resolve_threads(num_threads);
  py::array_t<T> c = out.is_none() ? new_matrix<T>(a.rows, b.cols)
                                   : checked_out<T>(out, a.rows, b.cols, a_in, b_in);
  if (c.size() == 0) return c;

  ops::GemmProblem<T> p;
  p.m = a.rows;
  p.n = b.cols;
  p.k = a.cols;
  p.a = a.held.data();
  p.a_row = a.row_stride;
  p.a_col = a.col_stride;
  p.b = b.held.data();
  p.b_row = b.row_stride;
  p.b_col = b.col_stride;
  p.c = c.mutable_data();
  p.c_row = b.cols;
  p.products = ops::bf16_products(ops::precision_named(precision), p.m, p.n, p.k);

  Interrupts interrupts;
  without_gil([&] { run_in_pieces(p, threads, interrupts); });
  interrupts.rethrow();
  return c;
}

// In either byte order.
bool is_float32(const py::array& array) {
  return array.dtype().kind() == 'f' && array.itemsize() == 4;
}

py::array matmul(const py::object& a_in, const py::object& b_in, bool transpose_a, bool transpose_b,
                 const py::object& out, const std::string& precision,
                 std::optional<int> num_threads) {
  const py::array a = any_real_array(a_in, "a");
  const py::array b = any_real_array(b_in, "b");
  if (a.ndim() != 2) fail<ValueError>("a must have two dimensions, got shape ", shape_text(a));
  if (b.ndim() != 2) fail<ValueError>("b must have two dimensions, got shape ", shape_text(b));
  const bool single = is_float32(a) && is_float32(b);
  require<ValueError>(single || precision == "highest",
                      "precision must be 'highest' for float64, "
                      "got '",
                      precision, "'");
  if (single) return multiply<float>(a, b, transpose_a, transpose_b, out, precision, num_threads);
  return multiply<double>(a, b, transpose_a, transpose_b, out, precision, num_threads);
}

}  // namespace

void bind_matmul(py::module_& m) {
  m.def("matmul", matmul, py::arg("a"), py::arg("b"), py::arg("transpose_a"),
        py::arg("transpose_b"), py::arg("out"), py::arg("precision"), py::arg("num_threads"));
}

}  // namespace gd::bindings

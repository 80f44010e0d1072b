#pragma once

#include <algorithm>
#include <cmath>

#include "layers/layer.hpp"
#include "ops/elementwise.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::layers {

// y = (x - mean) / sqrt(var + eps) gamma + beta, mean and variance of each column: those of the
// batch in training, which running averages remember, and those averages elsewhere.
// Ioffe, Szegedy: "Batch normalization", ICML 2015.
struct batch_norm {
  static constexpr const char* name = "batch_norm";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    using base::require;
    check_inputs(node, inputs, 1);
    const nn::LayerSpec& spec = node.spec;
    const auto eps = spec.get<double>("eps");
    const auto momentum = spec.get<double>("momentum");
    require<base::ValueError>(eps >= 0, "eps of layer '", spec.name, "' must be at least 0, got ",
                              eps);
    require<base::ValueError>(momentum >= 0 && momentum <= 1, "momentum of layer '", spec.name,
                              "' must be in [0, 1], got ", momentum);
    base::representable<T>(eps, "eps of layer '" + spec.name + "'");
    node.width = inputs.width();
    node.members = inputs.count();
    node.needs_whole_batch = true;
    if (spec.get<bool>("affine")) {
      node.entries.push_back(vector_of("weight", node.width, 1));
      node.entries.push_back(vector_of("bias", node.width, 0));
    }
    for (const bool is_mean : {true, false}) {
      nn::EntrySpec running =
          vector_of(is_mean ? "running_mean" : "running_var", node.width, is_mean ? 0 : 1);
      running.role = nn::Role::state;
      node.entries.push_back(running);
    }
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const Shape shape = shape_of(b);
    const plan::ValueId y = b.value(b.width()), stats = b.vectors(2, b.width());
    b.keep("stats", stats);
    b.add(stats_step<T>(b, shape, stats));
    b.add(normalize_step<T>(b, shape, stats, y));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const Shape shape = shape_of(b);
    const plan::ValueId gradient = b.gradient_of(b.output());
    const plan::ValueId sums = b.vectors(2, b.width());
    b.add(sums_step<T>(b, gradient, sums));
    // First the gradient at the input: it needs gamma as it was, which an update may change.
    if (b.wants_gradient()) {
      b.give_gradient(
          0, [&](plan::ValueId to) { b.add(gradient_step<T>(b, shape, gradient, sums, to)); });
    }
    if (shape.gamma >= 0) b.add(parameters_step<T>(b, shape, sums));
  }

 private:
  // Offsets of what the layer keeps, and what it is to do.
  struct Shape {
    int64_t gamma = -1;  // -1: none
    int64_t beta = -1;
    int64_t mean = 0;
    int64_t var = 0;
    double eps = 0;
    double momentum = 0;
    bool trains = false;
  };

  // Columns that a worker takes at a time, of long columns too: rows are read in whole lines.
  static constexpr int64_t kColumns = 64;
  static constexpr int64_t kMostRowsCounted = 256;

  template <class T>
  static Shape shape_of(const plan::Builder<T>& b) {
    Shape shape;
    if (const nn::Parameter* const gamma = b.parameter("weight")) {
      shape.gamma = gamma->offset;
      shape.beta = b.parameter("bias")->offset;
    }
    shape.mean = b.kept_entry("running_mean").offset;
    shape.var = b.kept_entry("running_var").offset;
    shape.eps = b.spec().template get<double>("eps");
    shape.momentum = b.spec().template get<double>("momentum");
    shape.trains = b.is_training();
    return shape;
  }

  // Sums of term(row, column) over the rows of some columns: parts of kSumPart rows, in order.
  template <class T, class Term>
  static void sum_columns(int64_t rows, int64_t begin, int64_t count, T* sums, Term&& term) {
    std::fill_n(sums, count, T{0});
    for (int64_t i0 = 0; i0 < rows; i0 += plan::kSumPart) {
      T part[kColumns] = {};
      const int64_t end = std::min(rows, i0 + plan::kSumPart);
      for (int64_t i = i0; i < end; ++i) term(i, begin, count, part);
      for (int64_t j = 0; j < count; ++j) sums[j] += part[j];
    }
  }

  // An operation over columns, each by itself; pass(batch, begin, count) does up to kColumns.
  template <class T, class Pass>
  class ColumnPass final : public plan::Operation<T> {
   public:
    ColumnPass(const plan::Step<T>& step, int max_workers, plan::Cost cost, int64_t cols,
               int64_t updates, Pass pass)
        : plan::Operation<T>(step.zone, step.phase, step.node, max_workers, cost),
          cols_(cols),
          updates_(updates),
          pass_(std::move(pass)) {}
    int64_t updates() const override { return updates_; }

   private:
    void work(ops::Worker& worker, const plan::Batch<T>& batch) override {
      const int64_t most = std::min(batch.rows, kMostRowsCounted);
      ops::for_rows(worker, this->queue(), cols_, most, [&](int64_t begin, int64_t count) {
        for (int64_t j = begin; j < begin + count; j += kColumns) {
          pass_(batch, j, std::min(kColumns, begin + count - j));
        }
      });
    }

    int64_t cols_;
    int64_t updates_;
    Pass pass_;
  };

  template <class T, class Pass>
  static std::unique_ptr<plan::Operation<T>> column_pass(const plan::Step<T>& step,
                                                         const plan::Places<T>& places,
                                                         int64_t cols, int64_t flops,
                                                         int64_t updates, Pass pass) {
    return std::make_unique<ColumnPass<T, Pass>>(step, places.max_workers,
                                                 plan::pass_cost<T>(cols, flops, 2), cols, updates,
                                                 std::move(pass));
  }

  // stats: the mean, and 1 / sqrt(var + eps).
  template <class T>
  static plan::Step<T> stats_step(const plan::Builder<T>& b, const Shape& shape,
                                  plan::ValueId stats) {
    const plan::ValueId x = b.input();
    plan::Step<T> step(plan::Zone::kNormForward, plan::Zone::kForward, b.node(), {x}, {stats});
    step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
      const plan::Rows<T> source = places.of(x), to = places.of(stats);
      return column_pass<T>(made, places, source.cols, 6, 0,
                            [=](const plan::Batch<T>& batch, int64_t begin, int64_t count) {
                              T* const mean = to.data + begin;
                              T* const root = to.data + to.stride + begin;
                              T* const old_mean = batch.state + shape.mean + begin;
                              T* const old_var = batch.state + shape.var + begin;
                              T var[kColumns];
                              if (shape.trains) {
                                moments(source.in(batch), begin, count, mean, var);
                                remember(shape, batch.rows, count, mean, var, old_mean, old_var);
                              } else {
                                std::copy_n(old_mean, count, mean);
                                std::copy_n(old_var, count, var);
                              }
                              for (int64_t j = 0; j < count; ++j) {
                                root[j] = T{1} / std::sqrt(var[j] + static_cast<T>(shape.eps));
                              }
                            });
    };
    return step;
  }

  template <class T>
  static void moments(base::MatrixView<const T> x, int64_t begin, int64_t count, T* mean, T* var) {
    sum_columns(x.rows, begin, count, mean, [&](int64_t i, int64_t at, int64_t n, T* part) {
      const T* const row = x.row(i) + at;
      for (int64_t j = 0; j < n; ++j) part[j] += row[j];
    });
    const auto rows = static_cast<T>(x.rows);
    for (int64_t j = 0; j < count; ++j) mean[j] /= rows;
    sum_columns(x.rows, begin, count, var, [&](int64_t i, int64_t at, int64_t n, T* part) {
      const T* const row = x.row(i) + at;
      for (int64_t j = 0; j < n; ++j) part[j] += (row[j] - mean[j]) * (row[j] - mean[j]);
    });
    for (int64_t j = 0; j < count; ++j) var[j] /= rows;
  }

  // Of the variance the estimate without bias, as PyTorch does.
  template <class T>
  static void remember(const Shape& shape, int64_t rows, int64_t count, const T* mean, const T* var,
                       T* old_mean, T* old_var) {
    const auto momentum = static_cast<T>(shape.momentum);
    const auto unbiased = static_cast<T>(rows) / static_cast<T>(std::max<int64_t>(rows - 1, 1));
    for (int64_t j = 0; j < count; ++j) {
      old_mean[j] = (T{1} - momentum) * old_mean[j] + momentum * mean[j];
      old_var[j] = (T{1} - momentum) * old_var[j] + momentum * (var[j] * unbiased);
    }
  }

  template <class T>
  static plan::Step<T> normalize_step(const plan::Builder<T>& b, const Shape& shape,
                                      plan::ValueId stats, plan::ValueId y) {
    const plan::ValueId x = b.input();
    plan::Step<T> step(plan::Zone::kNormForward, plan::Zone::kForward, b.node(), {x, stats}, {y});
    if (shape.gamma >= 0) step.parameters_read = {shape.gamma, shape.beta};
    step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
      const plan::Rows<T> source = places.of(x), moments_at = places.of(stats), to = places.of(y);
      return plan::row_pass<T>(
          made, places, plan::pass_cost<T>(source.cols, 4, 2), source.cols,
          [=](const plan::Batch<T>& batch, int64_t begin, int64_t rows) {
            const auto in = source.in(batch);
            const auto out = to.out(batch);
            const T* const mean = moments_at.data;
            const T* const root = mean + moments_at.stride;
            const T* const gamma = batch.parameters + std::max<int64_t>(shape.gamma, 0);
            const T* const beta = batch.parameters + std::max<int64_t>(shape.beta, 0);
            for (int64_t i = begin; i < begin + rows; ++i) {
              const T* const from = in.row(i);
              T* const put = out.row(i);
              for (int64_t j = 0; j < in.cols; ++j) put[j] = (from[j] - mean[j]) * root[j];
              if (shape.gamma < 0) continue;
              for (int64_t j = 0; j < in.cols; ++j) put[j] = put[j] * gamma[j] + beta[j];
            }
          });
    };
    return step;
  }

  // sums: of g, the gradient at beta; and of g x', the gradient at gamma.
  template <class T>
  static plan::Step<T> sums_step(const plan::Builder<T>& b, plan::ValueId gradient,
                                 plan::ValueId sums) {
    const plan::ValueId x = b.input(), stats = b.kept("stats");
    plan::Step<T> step(plan::Zone::kNormBackward, plan::Zone::kBackward, b.node(),
                       {x, stats, gradient}, {sums});
    step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
      const plan::Rows<T> source = places.of(x), moments_at = places.of(stats);
      const plan::Rows<T> above = places.of(gradient), to = places.of(sums);
      return column_pass<T>(made, places, source.cols, 5, 0,
                            [=](const plan::Batch<T>& batch, int64_t begin, int64_t count) {
                              const auto in = source.in(batch);
                              const auto g = above.in(batch);
                              const T* const mean = moments_at.data + begin;
                              const T* const root = moments_at.data + moments_at.stride + begin;
                              T* const plain = to.data + begin;
                              T* const tilted = to.data + to.stride + begin;
                              sum_columns(in.rows, begin, count, plain,
                                          [&](int64_t i, int64_t at, int64_t n, T* part) {
                                            const T* const row = g.row(i) + at;
                                            for (int64_t j = 0; j < n; ++j) part[j] += row[j];
                                          });
                              sum_columns(in.rows, begin, count, tilted,
                                          [&](int64_t i, int64_t at, int64_t n, T* part) {
                                            const T* const from = in.row(i) + at;
                                            const T* const row = g.row(i) + at;
                                            for (int64_t j = 0; j < n; ++j) {
                                              part[j] += row[j] * ((from[j] - mean[j]) * root[j]);
                                            }
                                          });
                            });
    };
    return step;
  }

  // What is summed to the parameters.
  template <class T>
  static plan::Step<T> parameters_step(const plan::Builder<T>& b, const Shape& shape,
                                       plan::ValueId sums) {
    plan::Step<T> step(plan::Zone::kBiasGradient, plan::Zone::kBackward, b.node(), {sums}, {});
    step.parameters_written = {shape.gamma, shape.beta};
    step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
      const plan::Rows<T> from = places.of(sums);
      return column_pass<T>(made, places, from.cols, 0, 2 * from.cols,
                            [=](const plan::Batch<T>& batch, int64_t begin, int64_t count) {
                              const T* const plain = from.data + begin;
                              put_gradient(batch, shape.beta + begin, count, plain);
                              put_gradient(batch, shape.gamma + begin, count, plain + from.stride);
                            });
    };
    return step;
  }

  // To where the parameter's gradient is, and into the update where the batch asks for that.
  template <class T>
  static void put_gradient(const plan::Batch<T>& batch, int64_t offset, int64_t count,
                           const T* sums) {
    T* const to = batch.gradients + offset;
    for (int64_t j = 0; j < count; ++j) to[j] = batch.accumulate ? to[j] + sums[j] : sums[j];
    if (batch.rule == nullptr) return;
    batch.rule->update_piece(*batch.update, offset, {to, static_cast<size_t>(count)});
  }

  // r gamma (g - mean(g) - x' mean(g x')), with the averages in place of the batch r gamma g.
  template <class T>
  static plan::Step<T> gradient_step(const plan::Builder<T>& b, const Shape& shape,
                                     plan::ValueId gradient, plan::ValueId sums, plan::ValueId to) {
    const plan::ValueId x = b.input(), stats = b.kept("stats");
    plan::Step<T> step(plan::Zone::kNormBackward, plan::Zone::kBackward, b.node(),
                       {x, stats, gradient, sums}, {to});
    if (shape.gamma >= 0) step.parameters_read = {shape.gamma};
    step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
      const plan::Rows<T> source = places.of(x), moments_at = places.of(stats);
      const plan::Rows<T> above = places.of(gradient), sums_at = places.of(sums);
      const plan::Rows<T> below = places.of(to);
      return plan::row_pass<T>(
          made, places, plan::pass_cost<T>(source.cols, 7, 3), source.cols,
          [=](const plan::Batch<T>& batch, int64_t begin, int64_t rows) {
            const auto in = source.in(batch);
            const auto g = above.in(batch);
            const auto out = below.out(batch);
            const T* const mean = moments_at.data;
            const T* const root = mean + moments_at.stride;
            const T* const plain = sums_at.data;
            const T* const tilted = plain + sums_at.stride;
            const T* const gamma = batch.parameters + std::max<int64_t>(shape.gamma, 0);
            const T share = T{1} / static_cast<T>(in.rows);
            for (int64_t i = begin; i < begin + rows; ++i) {
              const T* const from = in.row(i);
              const T* const row = g.row(i);
              T* const put = out.row(i);
              if (shape.trains) {
                for (int64_t j = 0; j < in.cols; ++j) {
                  const T normal = (from[j] - mean[j]) * root[j];
                  put[j] = root[j] * (row[j] - plain[j] * share - normal * (tilted[j] * share));
                }
              } else {
                for (int64_t j = 0; j < in.cols; ++j) put[j] = root[j] * row[j];
              }
              if (shape.gamma < 0) continue;
              for (int64_t j = 0; j < in.cols; ++j) put[j] *= gamma[j];
            }
          });
    };
    return step;
  }
};

}  // namespace gd::layers

#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/dispatch.hpp"
#include "layers/layer.hpp"
#include "plan/operations/columns.hpp"

namespace gd::layers {

// y = (x - mean) / sqrt(var + eps) gamma + beta, mean and variance of each column: those of the
// batch in training, or of each `ghost` rows of it, which running averages remember, and those
// averages elsewhere.
// Ioffe, Szegedy: "Batch normalization", ICML 2015; Hoffer, Hubara, Soudry: "Train longer,
// generalize better", NeurIPS 2017, for ghost batches.
struct batch_norm {
  static constexpr const char* name = "batch_norm";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    using base::require;
    check_inputs(node, inputs, 1);
    const nn::LayerSpec& spec = node.spec;
    const auto eps = spec.get<double>("eps");
    const auto momentum = spec.get<double>("momentum");
    const int64_t ghost = ghost_of(spec);
    require<base::ValueError>(eps >= 0, "eps of layer '", spec.name, "' must be at least 0, got ",
                              eps);
    require<base::ValueError>(momentum >= 0 && momentum <= 1, "momentum of layer '", spec.name,
                              "' must be in [0, 1], got ", momentum);
    require<base::ValueError>(ghost == 0 || ghost >= 2, "ghost of layer '", spec.name,
                              "' must be at least 2, got ", ghost);
    base::representable<T>(eps, "eps of layer '" + spec.name + "'");
    node.width = inputs.width();
    node.members = inputs.count();
    node.together = ghost > nn::kMostTogether ? 0 : ghost;
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
    const Shape<T> shape = shape_of(b);
    const plan::ValueId x = b.input(), y = b.value(b.width());
    plan::ValueId stats = plan::kNoValue;
    plan::Step<T> step(plan::Zone::kNormForward, plan::Zone::kForward, b.node(), {x}, {y});
    if (shape.trains) {
      stats = b.vectors(2 * shape.ghosts(b.options().capacity), b.width());
      step.writes.push_back(stats);
      b.keep("stats", stats);
    }
    if (shape.gamma >= 0) step.parameters_read = {shape.gamma, shape.beta};
    step.result = y;
    step.pieces = plan::Pieces::columns;
    step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
      const Forward<T> body{shape, places.of(x), places.of(y), stats_of(stats, places)};
      const int64_t cols = body.x.cols;
      return plan::column_pass<T>(made, places, plan::pass_cost<T>(cols, 9, 2), cols, 0, body);
    };
    b.add(std::move(step));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const Shape<T> shape = shape_of(b);
    const plan::ValueId x = b.input(), gradient = b.gradient_of(b.output());
    const plan::ValueId stats = shape.trains ? b.kept("stats") : plan::kNoValue;
    plan::Step<T> step(plan::Zone::kNormBackward, plan::Zone::kBackward, b.node(), {x, gradient},
                       {gradient});
    if (shape.trains) step.reads.push_back(stats);
    std::vector<int64_t> trained;  // of beta and gamma
    if (shape.gamma >= 0) {
      step.parameters_read = {shape.gamma};
      for (const int64_t offset : {shape.beta, shape.gamma}) {
        if (b.trains(offset)) trained.push_back(offset);
      }
    }
    step.parameters_written = trained;
    step.takes = gradient;
    step.result = gradient;
    step.pieces = plan::Pieces::columns;
    step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
      const Backward<T> body{shape, trained, places.of(x), places.of(gradient),
                             stats_of(stats, places)};
      const int64_t cols = body.x.cols;
      const int64_t updates = static_cast<int64_t>(trained.size()) * cols;
      return plan::column_pass<T>(made, places, plan::pass_cost<T>(cols, 10, 3), cols, updates,
                                  body);
    };
    b.add(std::move(step));
    if (b.wants_gradient()) b.pass_gradient(0, gradient);
  }

 private:
  static constexpr int64_t kColumns = plan::kMostColumns;

  // Rows that are normalized together.
  struct Ghost {
    int64_t begin;
    int64_t rows;
  };

  // Offsets of what the layer keeps, and what it is to do.
  template <class T>
  struct Shape {
    int64_t gamma = -1;  // -1: none
    int64_t beta = -1;
    int64_t mean = 0;
    int64_t var = 0;
    int64_t ghost = 0;  // 0: all rows of a batch
    T eps = 0;
    T momentum = 0;
    bool trains = false;

    // A single row that is left over goes with those before it.
    int64_t ghosts(int64_t rows) const {
      if (ghost == 0) return 1;
      return std::max<int64_t>(1, rows / ghost + (rows % ghost >= 2 ? 1 : 0));
    }
    Ghost ghost_at(int64_t i, int64_t rows) const {
      const int64_t begin = i * ghost;
      return {begin, i + 1 == ghosts(rows) ? rows - begin : ghost};
    }
    const T* gamma_at(const plan::Batch<T>& batch, int64_t col) const {
      return gamma < 0 ? nullptr : batch.parameters + gamma + col;
    }
    const T* beta_at(const plan::Batch<T>& batch, int64_t col) const {
      return beta < 0 ? nullptr : batch.parameters + beta + col;
    }
    void take_roots(const T* variances, int64_t count, T* roots) const {
      for (int64_t j = 0; j < count; ++j) roots[j] = T{1} / std::sqrt(variances[j] + eps);
    }
    // Of the variance the estimate without bias, as PyTorch does.
    void remember(int64_t rows, int64_t count, const T* means, const T* variances, T* old_means,
                  T* old_variances) const {
      const auto unbiased = static_cast<T>(rows) / static_cast<T>(std::max<int64_t>(rows - 1, 1));
      for (int64_t j = 0; j < count; ++j) {
        old_means[j] = (T{1} - momentum) * old_means[j] + momentum * means[j];
        old_variances[j] =
            (T{1} - momentum) * old_variances[j] + momentum * (variances[j] * unbiased);
      }
    }
  };

  static int64_t ghost_of(const nn::LayerSpec& spec) {
    return spec.has("ghost") ? spec.get<int64_t>("ghost") : 0;
  }

  template <class T>
  static Shape<T> shape_of(const plan::Builder<T>& b) {
    Shape<T> shape;
    if (const nn::Parameter* const gamma = b.parameter("weight")) {
      shape.gamma = gamma->offset;
      shape.beta = b.parameter("bias")->offset;
    }
    shape.mean = b.kept_entry("running_mean").offset;
    shape.var = b.kept_entry("running_var").offset;
    shape.ghost = ghost_of(b.spec());
    shape.eps = static_cast<T>(b.spec().template get<double>("eps"));
    shape.momentum = static_cast<T>(b.spec().template get<double>("momentum"));
    shape.trains = b.is_training();
    return shape;
  }

  // For each ghost batch a row of means and one of 1 / sqrt(var + eps).
  template <class T>
  static plan::Rows<T> stats_of(plan::ValueId stats, const plan::Places<T>& places) {
    return stats == plan::kNoValue ? plan::Rows<T>{} : places.of(stats);
  }

  template <class T>
  struct Forward {
    Shape<T> shape;
    plan::Rows<T> x, y, stats;
    kernels::LayerKernels<T> by = kernels::kernels().of<T>().layers;

    void operator()(const plan::Batch<T>& batch, int64_t begin, int64_t count) const {
      if (!shape.trains) {
        T roots[kColumns];
        shape.take_roots(batch.state + shape.var + begin, count, roots);
        return normalize(batch, {0, batch.rows}, begin, count, batch.state + shape.mean + begin,
                         roots);
      }
      T* means = stats.data + begin;
      for (int64_t i = 0; i < shape.ghosts(batch.rows); ++i, means += 2 * stats.stride) {
        const Ghost rows = shape.ghost_at(i, batch.rows);
        T* const roots = means + stats.stride;
        T variances[kColumns];
        by.column_moments({rows.rows, count, plan::kSumPart, x.in(batch).row(rows.begin) + begin,
                           x.read_stride(batch)},
                          means, variances);
        shape.remember(rows.rows, count, means, variances, batch.state + shape.mean + begin,
                       batch.state + shape.var + begin);
        shape.take_roots(variances, count, roots);
        normalize(batch, rows, begin, count, means, roots);
      }
    }

    void normalize(const plan::Batch<T>& batch, const Ghost& rows, int64_t begin, int64_t count,
                   const T* means, const T* roots) const {
      by.column_norm({rows.rows, count, x.in(batch).row(rows.begin) + begin, x.read_stride(batch),
                      means, roots, shape.gamma_at(batch, begin), shape.beta_at(batch, begin),
                      y.out(batch).row(rows.begin) + begin, y.stride});
    }
  };

  template <class T>
  struct Backward {
    Shape<T> shape;
    std::vector<int64_t> trained;
    plan::Rows<T> x, gradient, stats;
    kernels::LayerKernels<T> by = kernels::kernels().of<T>().layers;

    // First the gradient at x: it needs gamma as it was, which an update may change.
    void operator()(const plan::Batch<T>& batch, int64_t begin, int64_t count) const {
      const int64_t ghosts = shape.trains ? shape.ghosts(batch.rows) : 1;
      for (int64_t i = 0; i < ghosts; ++i) {
        const Ghost rows = shape.trains ? shape.ghost_at(i, batch.rows) : Ghost{0, batch.rows};
        T roots[kColumns];
        const kernels::ColumnGradientRows<T> p = rows_of(batch, rows, i, begin, count, roots);
        T plain[kColumns];
        T tilted[kColumns];
        by.column_slopes(p, plain, tilted);
        by.column_gradient(p, shape.trains ? plain : nullptr, shape.trains ? tilted : nullptr);
        // One chain over ghost batches, so that a batch may go through in pieces of them.
        const bool goes_on = i > 0 || batch.accumulate;
        for (const int64_t offset : trained) {
          const T* const sums = offset == shape.beta ? plain : tilted;
          add_to(batch.gradients + offset + begin, count, sums, goes_on);
        }
      }
      if (batch.rule == nullptr) return;
      for (const int64_t offset : trained) {
        const std::span<const T> gradients(batch.gradients + offset + begin,
                                           static_cast<size_t>(count));
        batch.rule->update_piece(*batch.update, offset + begin, gradients);
      }
    }

    static void add_to(T* sum, int64_t count, const T* terms, bool goes_on) {
      for (int64_t j = 0; j < count; ++j) sum[j] = goes_on ? sum[j] + terms[j] : terms[j];
    }

    kernels::ColumnGradientRows<T> rows_of(const plan::Batch<T>& batch, const Ghost& rows,
                                           int64_t ghost, int64_t begin, int64_t count,
                                           T* roots) const {
      kernels::ColumnGradientRows<T> p{};
      p.rows = rows.rows;
      p.cols = count;
      p.part = plan::kSumPart;
      p.x = x.in(batch).row(rows.begin) + begin;
      p.ldx = x.read_stride(batch);
      p.gamma = shape.gamma_at(batch, begin);
      p.g = gradient.out(batch).row(rows.begin) + begin;
      p.ldg = gradient.stride;
      if (shape.trains) {
        p.mean = stats.data + 2 * ghost * stats.stride + begin;
        p.root = p.mean + stats.stride;
      } else {
        shape.take_roots(batch.state + shape.var + begin, count, roots);
        p.mean = batch.state + shape.mean + begin;
        p.root = roots;
      }
      return p;
    }
  };
};

}  // namespace gd::layers

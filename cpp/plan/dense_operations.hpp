#pragma once

#include "nn/network.hpp"
#include "ops/formulas.hpp"
#include "ops/gemm.hpp"
#include "plan/operation.hpp"

namespace gd::plan {

// An activation with its parameters in the network's type.
template <class T>
struct ActivationUse {
  const ops::ActivationKernel<T>* kernel = nullptr;  // null: identity
  ops::FormulaParameters<T> parameters;
};

// Where one layer's data lie; what a batch supplies itself is null here.
template <class T>
struct LayerBuffers {
  const T* input = nullptr;  // (rows, inputs); null: the batch's x
  T* z = nullptr;            // (rows, units) before the activation; may be the output
  T* output = nullptr;       // (rows, units)
  T* delta = nullptr;        // (rows, units): gradient at z
  T* input_delta = nullptr;  // (rows, inputs); null: the batch's input_gradient
  int64_t input_stride = 0;  // of input and input_delta
  int64_t stride = 0;        // of z, output and delta
  // Layers of different widths share delta buffers, so that a part of a batch has its place in them
  // by the widest layer: where its first row begins is a multiple of this.
  int64_t delta_row = 0;
};

template <class T>
struct DenseContext {
  nn::LayerView shape;
  LayerBuffers<T> buffers;
  int layer;
  int max_workers;
  ops::GemmScratch<T> scratch;
  ops::Precision precision;

  // How a layer multiplies, in whichever of its three roles, hangs on the whole batch and not on
  // the part of it that a worker happens to have.
  int products(int64_t rows) const {
    return ops::bf16_products(precision, rows, shape.units, shape.inputs);
  }
};

// One of a layer's matrix products.
template <class T>
class Product : public Operation<T> {
 public:
  int products(int64_t rows) const final { return context_.products(rows); }
  bool meets(const Batch<T>& batch, int workers) const final;

 protected:
  Product(Zone zone, Zone phase, const DenseContext<T>& context, Cost cost)
      : Operation<T>(zone, phase, context.layer, context.max_workers, cost), context_(context) {}

  virtual ops::GemmProblem<T> problem(const Batch<T>& batch) const = 0;
  void work(ops::Worker& worker, const Batch<T>& batch) override;
  void multiply(ops::Worker& worker, const ops::GemmProblem<T>& problem);
  const DenseContext<T>& context() const { return context_; }

 private:
  DenseContext<T> context_;
};

// z = x W^T + b, and a = f(z) on tiles still in cache unless f needs whole rows.
template <class T>
class DenseForward final : public Product<T> {
 public:
  DenseForward(const DenseContext<T>& context, const ActivationUse<T>& activation);

 private:
  ops::GemmProblem<T> problem(const Batch<T>& batch) const override;

  ActivationUse<T> activation_;
};

// a = f(z), for an activation that needs whole rows.
template <class T>
class ActivationForward final : public Operation<T> {
 public:
  ActivationForward(const DenseContext<T>& context, const ActivationUse<T>& activation);

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override;

  DenseContext<T> context_;
  ActivationUse<T> activation_;
};

// delta = delta * f', where no matmul before it could do so.
template <class T>
class ActivationBackward final : public Operation<T> {
 public:
  ActivationBackward(const DenseContext<T>& context, const ActivationUse<T>& activation);

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override;

  DenseContext<T> context_;
  ActivationUse<T> activation_;
};

// dW^T = x^T delta, and the update of W where the batch asks for it.
template <class T>
class WeightGradient final : public Product<T> {
 public:
  explicit WeightGradient(const DenseContext<T>& context);
  int64_t updates() const override {
    return this->context().shape.inputs * this->context().shape.units;
  }
  bool updates_apart() const override { return true; }

 private:
  ops::GemmProblem<T> problem(const Batch<T>& batch) const override;
  void work(ops::Worker& worker, const Batch<T>& batch) override;
};

// db = column sums of delta, and the update of b where the batch asks for it.
template <class T>
class BiasGradient final : public Operation<T> {
 public:
  explicit BiasGradient(const DenseContext<T>& context);
  int64_t updates() const override { return context_.shape.units; }

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override;

  DenseContext<T> context_;
};

// The gradient at the layer's input, delta W, times the derivative of the activation before it.
template <class T>
class InputGradient final : public Product<T> {
 public:
  // `before` belongs to the layer whose output is this one's input; `saved` is what it kept.
  InputGradient(const DenseContext<T>& context, const ActivationUse<T>& before, const T* saved);

 private:
  ops::GemmProblem<T> problem(const Batch<T>& batch) const override;

  ActivationUse<T> before_;
  const T* saved_;
};

}  // namespace gd::plan

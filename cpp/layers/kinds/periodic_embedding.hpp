#pragma once

#include "kernels/dispatch.hpp"
#include "layers/embedding_parts.hpp"

namespace gd::layers {

// y = f(W h + c), for each number x of a row h = (cos 2 pi w x, sin 2 pi w x) with frequencies w of
// its column, and W of its column too or, lite, one for all. With `phase` h = cos(2 pi w x + b);
// with `keep_input` the x stand behind all that is made of them.
// Gorishniy, Rubachev, Babenko: "On embeddings for numerical features in tabular deep learning",
// NeurIPS 2022; Holzmueller, Grinsztajn, Steinwart: "Better by default: strong pre-tuned MLPs and
// boosted trees on tabular data", NeurIPS 2024.
struct periodic_embedding {
  static constexpr const char* name = "periodic_embedding";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    using base::require;
    check_inputs(node, inputs, 1);
    const nn::LayerSpec& spec = node.spec;
    const int64_t size = count_option(spec, "size"), columns = inputs.width();
    const int64_t frequencies = count_option(spec, "frequencies");
    const auto sigma = spec.get<double>("sigma");
    const bool phase = spec.get<bool>("phase"), keeps = spec.get<bool>("keep_input");
    require<base::ValueError>(sigma > 0, "sigma of layer '", spec.name, "' must be above 0, got ",
                              sigma);
    base::representable<T>(sigma, "sigma of layer '" + spec.name + "'");
    require<base::ValueError>(size > (keeps ? 1 : 0), "size of layer '", spec.name,
                              "' must be at least 2 where the input is one of its columns, got ",
                              size);
    const plan::ActivationUse<T> use = activation_of<T>(spec);
    require<base::ValueError>(use.kernel == nullptr || !use.kernel->row_wise, "layer '", spec.name,
                              "' embeds each column by itself, activation '",
                              spec.get<std::string>("activation"), "' needs whole rows");
    node.width = width_of(spec, columns, size);
    const int64_t inner = width_of(spec, frequencies, phase ? 1 : 2);
    width_of(spec, columns, inner);
    nn::EntrySpec waves = table_of("periodic.weight", columns, frequencies);
    waves.start = [=](base::RandomStream& random, std::span<const double>, std::span<double> own) {
      for (double& value : own) {
        double normal = random.normal();
        while (!phase && std::abs(normal) > kMostDeviations) normal = random.normal();
        value = sigma * normal;
      }
    };
    node.entries.push_back(waves);
    if (phase) {
      nn::EntrySpec shift = table_of("periodic.bias", columns, frequencies);
      shift.start = [](base::RandomStream& random, std::span<const double>, std::span<double> own) {
        for (double& value : own) value = kPi * (2 * random.uniform() - 1);
      };
      node.entries.push_back(shift);
    }
    const int64_t made = size - (keeps ? 1 : 0);
    if (spec.get<bool>("lite")) {
      nn::EntrySpec weight;
      weight.name = "linear.weight";
      weight.rows = made;
      weight.cols = inner;
      weight.lies = nn::Lies::transposed_panels;
      weight.initializer = "pytorch";
      weight.fan_in = inner;
      weight.fan_out = made;
      node.entries.push_back(weight);
      nn::EntrySpec bias = vector_of("linear.bias", made, 0);
      bias.initializer = "pytorch";
      bias.fan_in = inner;
      node.entries.push_back(bias);
      node.needs_tiles = true;
    } else {
      node.entries.push_back(matrices_of("linear.weight", columns, inner, made));
      node.entries.push_back(drawn_table("linear.bias", columns, made, inner));
    }
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const plan::BlocksShape shape = shape_of(b);
    plan::cover_blocks(b, shape);
    const plan::ValueId waves = b.value(shape.count * shape.inputs);
    const plan::ValueId z = b.value(shape.count * shape.units);
    if (shape.shared) {
      b.set_exact(waves);
      b.set_exact(z);
    }
    b.keep("waves", waves);
    b.keep("z", z);
    b.add(waves_step<T>(b, waves));
    b.add(plan::blocks_forward_step<T>(b, shape, waves, z));
    const plan::ValueId made = b.activate(activation_of<T>(b.spec()), z);
    if (shape.shared) b.set_exact(made);
    b.keep("made", made);
    if (!keeps_input(b)) return b.set_output(made);
    const plan::ValueId y = b.value(b.width());
    const int64_t columns = b.input_width(), wide = b.cols(made);
    b.add(plan::copy_columns_step<T>(plan::Zone::kForward, b.node(), {made, 0}, {y, 0}, wide));
    b.add(plan::copy_columns_step<T>(plan::Zone::kForward, b.node(), {b.input(), 0}, {y, wide},
                                     columns));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const plan::BlocksShape shape = shape_of(b);
    const plan::ValueId gradient = b.gradient_of(b.output()), made = b.kept("made");
    plan::ValueId delta = gradient;
    if (keeps_input(b)) {
      const int64_t wide = b.cols(made);
      delta = b.value(wide);
      if (shape.shared) b.set_exact(delta);
      b.add(plan::copy_columns_step<T>(plan::Zone::kBackward, b.node(), {gradient, 0}, {delta, 0},
                                       wide));
      if (b.wants_gradient()) {
        b.give_gradient(0, [&](plan::ValueId to) {
          b.add(plan::copy_columns_step<T>(plan::Zone::kBackward, b.node(), {gradient, wide},
                                           {to, 0}, b.input_width()));
        });
      }
    }
    b.activate_backward(activation_of<T>(b.spec()), b.kept("z"), made, delta);
    const plan::ValueId at_waves = blocks_backward<T>(b, shape, b.kept("waves"), delta, true);
    const int64_t count = b.input_width() * frequencies(b);
    const plan::ValueId each_weight = b.value(count);
    const nn::Parameter* const phase = b.parameter("periodic.bias");
    const plan::ValueId each_phase = phase == nullptr ? plan::kNoValue : b.value(count);
    const auto add = [&](plan::ValueId to) {
      b.add(gradient_step<T>(b, at_waves, each_weight, each_phase, to));
    };
    if (b.wants_gradient()) {
      b.give_gradient(0, add);
    } else {
      add(plan::kNoValue);
    }
    b.add(plan::column_sum_step<T>(b, each_weight, b.parameter("periodic.weight")->offset));
    if (phase != nullptr) b.add(plan::column_sum_step<T>(b, each_phase, phase->offset));
  }

 private:
  static constexpr double kPi = 3.141592653589793;
  // Frequencies far out are drawn again.
  static constexpr double kMostDeviations = 3;

  template <class T>
  static bool keeps_input(const plan::Builder<T>& b) {
    return b.spec().template get<bool>("keep_input");
  }
  template <class T>
  static int64_t frequencies(const plan::Builder<T>& b) {
    return b.spec().template get<int64_t>("frequencies");
  }

  template <class T>
  static plan::BlocksShape shape_of(const plan::Builder<T>& b) {
    plan::BlocksShape shape;
    shape.count = b.input_width();
    shape.inputs = frequencies(b) * (b.parameter("periodic.bias") == nullptr ? 2 : 1);
    shape.units = b.width() / shape.count - (keeps_input(b) ? 1 : 0);
    shape.weight = b.parameter("linear.weight")->offset;
    shape.bias = b.parameter("linear.bias")->offset;
    shape.shared = b.spec().template get<bool>("lite");
    return shape;
  }

  // What both kernels take of some rows, but for x and y.
  template <class T>
  struct Waves {
    int64_t frequencies;
    int64_t weight;
    int64_t phase;  // -1: none
    plan::Rows<T> x;

    kernels::PeriodicRows<T> at(const plan::Batch<T>& batch, int64_t begin, int64_t rows) const {
      const auto in = x.in(batch);
      kernels::PeriodicRows<T> p{};
      p.rows = rows;
      p.features = in.cols;
      p.frequencies = frequencies;
      p.x = in.row(begin);
      p.ldx = in.stride;
      p.weight = batch.parameters + weight;
      p.phase = phase < 0 ? nullptr : batch.parameters + phase;
      return p;
    }
  };

  template <class T>
  static Waves<T> waves_of(const plan::Builder<T>& b) {
    const nn::Parameter* const phase = b.parameter("periodic.bias");
    return {frequencies(b),
            b.parameter("periodic.weight")->offset,
            phase == nullptr ? -1 : phase->offset,
            {}};
  }

  template <class T>
  static void read_waves(const Waves<T>& waves, plan::Step<T>& step) {
    step.parameters_read = {waves.weight};
    if (waves.phase >= 0) step.parameters_read.push_back(waves.phase);
  }

  template <class T>
  static plan::Step<T> waves_step(const plan::Builder<T>& b, plan::ValueId to) {
    const plan::ValueId x = b.input();
    const Waves<T> waves = waves_of(b);
    plan::Step<T> step(plan::Zone::kActivationForward, plan::Zone::kForward, b.node(), {x}, {to});
    read_waves(waves, step);
    step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
      Waves<T> of = waves;
      of.x = places.of(x);
      const plan::Rows<T> target = places.of(to);
      const auto kernel = kernels::kernels().of<T>().layers.periodic_forward;
      return plan::row_pass<T>(made, places, plan::pass_cost<T>(target.cols, 20, 1), target.cols,
                               [=](const plan::Batch<T>& batch, int64_t begin, int64_t rows) {
                                 kernels::PeriodicRows<T> p = of.at(batch, begin, rows);
                                 const auto out = target.out(batch);
                                 p.y = out.row(begin);
                                 p.ldy = out.stride;
                                 kernel(p);
                               });
    };
    return step;
  }

  template <class T>
  static plan::Step<T> gradient_step(const plan::Builder<T>& b, plan::ValueId gradient,
                                     plan::ValueId each_weight, plan::ValueId each_phase,
                                     plan::ValueId to) {
    const plan::ValueId x = b.input(), y = b.kept("waves");
    const Waves<T> waves = waves_of(b);
    plan::Step<T> step(plan::Zone::kActivationBackward, plan::Zone::kBackward, b.node(),
                       {x, y, gradient}, {each_weight});
    for (const plan::ValueId written : {each_phase, to}) {
      if (written != plan::kNoValue) step.writes.push_back(written);
    }
    read_waves(waves, step);
    step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
      Waves<T> of = waves;
      of.x = places.of(x);
      const plan::Rows<T> none;
      const plan::Rows<T> output = places.of(y), above = places.of(gradient);
      const plan::Rows<T> by_weight = places.of(each_weight);
      const plan::Rows<T> by_phase = each_phase == plan::kNoValue ? none : places.of(each_phase);
      const plan::Rows<T> below = to == plan::kNoValue ? none : places.of(to);
      const auto kernel = kernels::kernels().of<T>().layers.periodic_backward;
      return plan::row_pass<T>(made, places, plan::pass_cost<T>(output.cols, 8, 3), output.cols,
                               [=](const plan::Batch<T>& batch, int64_t begin, int64_t rows) {
                                 kernels::PeriodicGradientRows<T> p{};
                                 p.of = of.at(batch, begin, rows);
                                 // It is only read.
                                 p.of.y = const_cast<T*>(output.in(batch).row(begin));
                                 p.of.ldy = output.stride;
                                 const auto g = above.in(batch);
                                 p.g = g.row(begin);
                                 p.ldg = g.stride;
                                 p.each_weight = by_weight.out(batch).row(begin);
                                 p.ldw = by_weight.stride;
                                 if (by_phase.cols > 0) {
                                   p.each_phase = by_phase.out(batch).row(begin);
                                   p.ldp = by_phase.stride;
                                 }
                                 if (below.cols > 0) {
                                   p.gx = below.out(batch).row(begin);
                                   p.ldgx = below.stride;
                                 }
                                 kernel(p);
                               });
    };
    return step;
  }
};

}  // namespace gd::layers

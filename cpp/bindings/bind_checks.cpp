#include <pybind11/stl.h>

#include "base/check.hpp"
#include "bindings/arrays.hpp"
#include "bindings/bind.hpp"
#include "bindings/classes.hpp"
#include "bindings/frames.hpp"
#include "bindings/states.hpp"
#include "bindings/targets.hpp"
#include "train/numerical_gradient.hpp"

namespace gd::bindings {

namespace {

using Checked = train::Model<double>;

HeldData<double> checked(Checked& model, const plan::LossDescription& loss, py::handle x,
                         py::handle y, py::handle sample_weight) {
  const nn::Graph& graph = model.description().graph();
  const py::object ordered = in_order(model, x);
  if (!loss.heads.empty()) {
    const train::Heads<double> heads(graph, loss);
    return hold_data_of_heads<double>(ordered, y, sample_weight, graph, heads);
  }
  const ops::LossTerms<double> terms(ops::find_loss<double>(loss.name), loss.parameters,
                                     graph.width(graph.output));
  return hold_data<double>(ordered, y, sample_weight, graph, terms);
}

py::array_t<double> flat(const std::vector<double>& values) {
  return py::array_t<double>(static_cast<py::ssize_t>(values.size()), values.data());
}

// Flat arrays, in the order of state_dict or of `closer`.
py::dict numerical(Checked& model, std::optional<std::string> loss_name,
                   std::vector<double> loss_parameters, const std::vector<HeadLossTuple>& heads,
                   py::handle x, py::handle y, py::handle sample_weight, std::optional<double> h,
                   const std::optional<std::vector<int64_t>>& closer,
                   std::optional<int> num_threads) {
  const plan::LossDescription loss =
      loss_from(std::move(loss_name), std::move(loss_parameters), heads);
  const HeldData<double> data = checked(model, loss, x, y, sample_weight);
  const int threads = resolve_threads(num_threads);
  Interrupts interrupts;
  const train::NumericalGradient found = without_gil([&] {
    return train::numerical_gradient(
        model, loss, data.view, h, threads,
        closer ? std::optional<std::span<const int64_t>>(*closer) : std::nullopt, interrupts);
  });
  interrupts.rethrow();
  py::dict result;
  result["central"] = flat(found.central);
  result["error"] = flat(found.error);
  result["below"] = flat(found.below);
  result["above"] = flat(found.above);
  result["kinks"] = found.kinks;
  result["evaluations"] = found.evaluations;
  result["seconds"] = found.seconds;
  return result;
}

py::dict backpropagation(Checked& model, std::optional<std::string> loss_name,
                         std::vector<double> loss_parameters,
                         const std::vector<HeadLossTuple>& heads, py::handle x, py::handle y,
                         py::handle sample_weight, std::optional<int> num_threads) {
  const plan::LossDescription loss =
      loss_from(std::move(loss_name), std::move(loss_parameters), heads);
  const HeldData<double> data = checked(model, loss, x, y, sample_weight);
  const int threads = resolve_threads(num_threads);
  train::ExactGradient found;
  {
    const WithoutGil released;
    found = train::backpropagation_gradient(model, loss, data.view, threads);
  }
  py::dict result;
  result["gradients"] =
      split_by_name<double>(model.description().parameters(), found.gradient.data());
  result["loss"] = found.loss;
  result["seconds"] = found.seconds;
  return result;
}

}  // namespace

void bind_checks(py::module_& m) {
  m.def("numerical_gradient_network", numerical, py::arg("network"), py::arg("loss"),
        py::arg("loss_parameters"), py::arg("heads"), py::arg("x"), py::arg("y"),
        py::arg("sample_weight"), py::arg("h"), py::arg("closer"), py::arg("num_threads"));
  m.def("backpropagation_gradient_network", backpropagation, py::arg("network"), py::arg("loss"),
        py::arg("loss_parameters"), py::arg("heads"), py::arg("x"), py::arg("y"),
        py::arg("sample_weight"), py::arg("num_threads"));
}

}  // namespace gd::bindings

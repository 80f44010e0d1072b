#include "base/check.hpp"
#include "bindings/targets.hpp"

namespace gd::bindings {

namespace {

std::vector<std::string> head_names(const nn::Graph& graph) {
  std::vector<std::string> names;
  for (const nn::Head& head : graph.heads) names.push_back(head.name);
  return names;
}

std::string of_head(std::string_view argument, const std::string& head) {
  return std::string(argument) + "['" + head + "']";
}

template <class T>
void add_head(HeldData<T>& held, HeldData<T> own) {
  data::HeadData<T> view;
  view.target = own.view.target;
  view.labels = own.view.labels;
  view.weights = own.view.weights;
  view.shares = own.view.shares;
  held.head_views.push_back(view);
  held.of_heads.push_back(std::move(own));
}

template <class T>
void see_heads(HeldData<T>& held) {
  held.all_heads = std::make_unique<data::AllHeads<T>>();
  *held.all_heads = {held.view.x, held.head_views.data()};
  held.view.heads = held.all_heads.get();
}

}  // namespace

template <class T>
HeldData<T> hold_data_of_heads(py::handle x, py::handle y, py::handle sample_weight,
                               const nn::Graph& graph, const train::Heads<T>& heads,
                               const DataNames& names) {
  HeldData<T> held;
  auto inputs = input_matrix<T>(graph, x, names.x, &held.view.sparse);
  held.view.x = {inputs.data(), inputs.shape()[0], inputs.shape()[1]};
  held.x = std::move(inputs);
  const std::vector<py::object> targets = parts_of(head_names(graph), y, names.y, "output");
  // One for all heads, or those that have some by name.
  const bool by_name = is_mapping(sample_weight);
  std::vector<py::object> weights(targets.size(),
                                  py::reinterpret_borrow<py::object>(sample_weight));
  if (by_name) {
    weights = parts_of(head_names(graph), sample_weight, names.sample_weight, "output", true);
  }
  for (size_t h = 0; h < targets.size(); ++h) {
    const std::string& head = graph.heads[h].name;
    const std::string of_y = of_head(names.y, head);
    const std::string of_weight =
        by_name ? of_head(names.sample_weight, head) : std::string(names.sample_weight);
    HeldData<T> own;
    own.view.x.rows = held.view.size();
    hold_targets(own, targets[h], weights[h], graph.width(graph.heads[h].node), heads.terms(h),
                 {names.x, of_y, of_weight});
    add_head(held, std::move(own));
  }
  see_heads(held);
  return held;
}

template <class T>
HeldData<T> hold_sample_of_heads(py::handle x, py::handle y, const nn::Graph& graph,
                                 const train::Heads<T>& heads) {
  HeldData<T> held;
  auto row = input_row<T>(graph, x, "x", &held.view.sparse);
  held.view.x = {row.data(), 1, row.shape()[0]};
  held.x = std::move(row);
  const std::vector<py::object> targets = parts_of(head_names(graph), y, "y", "output");
  for (size_t h = 0; h < targets.size(); ++h) {
    HeldData<T> own;
    own.view.x.rows = 1;
    hold_target_of_sample(own, targets[h], graph.width(graph.heads[h].node), heads.terms(h),
                          of_head("y", graph.heads[h].name));
    add_head(held, std::move(own));
  }
  see_heads(held);
  return held;
}

#define GD_INSTANTIATE(T)                                                                          \
  template HeldData<T> hold_data_of_heads<T>(py::handle, py::handle, py::handle, const nn::Graph&, \
                                             const train::Heads<T>&, const DataNames&);            \
  template HeldData<T> hold_sample_of_heads<T>(py::handle, py::handle, const nn::Graph&,           \
                                               const train::Heads<T>&);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::bindings

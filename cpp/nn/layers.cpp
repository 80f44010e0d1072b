#include "nn/layers.hpp"

#include <set>

#include "base/check.hpp"
#include "nn/initializers.hpp"
#include "ops/formulas.hpp"

namespace gd::nn {

using base::require;
using base::ValueError;

template <class T>
void check_layers(const std::vector<DenseSpec>& layers, int64_t input_size) {
  require<ValueError>(input_size >= 1, "input_size must be at least 1, got ", input_size);
  require<ValueError>(!layers.empty(), "layers must hold at least one layer, got none");
  std::set<std::string> names;
  int64_t inputs = input_size;
  for (const DenseSpec& layer : layers) {
    require<ValueError>(layer.units >= 1, "units of layer '", layer.name,
                        "' must be at least 1, got ", layer.units);
    require<ValueError>(!layer.name.empty(), "a layer's name must not be empty");
    require<ValueError>(names.insert(layer.name).second, "two layers are named '", layer.name, "'");
    const auto& activation = ops::find_activation<double>(layer.activation);
    const size_t expected = ops::split_names(activation.parameters).size();
    require<ValueError>(layer.activation_parameters.size() == expected, "activation '",
                        layer.activation, "' takes ", expected, " parameters, got ",
                        layer.activation_parameters.size());
    for (const double parameter : layer.activation_parameters) {
      base::representable<T>(parameter, "a parameter of activation '" + layer.activation + "'");
    }
    check_initializer(layer.weight_init);
    check_initializer(layer.bias_init);
    base::checked_product(base::checked_product(inputs, layer.units, "weights of a layer"),
                          sizeof(T), "bytes of a layer's weights");
    inputs = layer.units;
  }
}

template void check_layers<float>(const std::vector<DenseSpec>&, int64_t);
template void check_layers<double>(const std::vector<DenseSpec>&, int64_t);

}  // namespace gd::nn

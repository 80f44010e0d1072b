#pragma once

// A layer as a caller describes it: its kind, what it reads, and options by name. What they mean
// only the layer's file in layers/ knows.

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/check.hpp"

namespace gd::nn {

using Option = std::variant<bool, int64_t, double, std::string, std::vector<double>>;

struct LayerSpec {
  std::string kind;         // a file of layers/
  std::string name;         // its part of the keys in state_dict
  std::vector<int> inputs;  // nodes: the network's inputs come first, then the layers in order
  std::map<std::string, Option> options;

  bool operator==(const LayerSpec&) const = default;

  bool has(const std::string& option) const { return options.contains(option); }

  // ValueError where the option is missing or of another type.
  template <class V>
  const V& get(const std::string& option) const {
    const auto found = options.find(option);
    base::require<base::ValueError>(found != options.end(), "layer '", name, "' of kind '", kind,
                                    "' lacks the option '", option, "'");
    const V* const value = std::get_if<V>(&found->second);
    base::require<base::ValueError>(value != nullptr, "option '", option, "' of layer '", name,
                                    "' is of the wrong type");
    return *value;
  }
};

}  // namespace gd::nn

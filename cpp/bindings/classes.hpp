#pragma once

// The classes Python sees by dtype, as C++ shares them among the bind_*.cpp files.

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "train/model.hpp"

namespace gd::bindings {

// Network32 and Network64: a model behind a shared pointer, which trainers hold too.
template <class T>
using ModelPointer = std::shared_ptr<train::Model<T>>;

// Of each head its loss, its parameters and its weight.
using HeadLossTuple = std::tuple<std::string, std::vector<double>, double>;

inline plan::LossDescription loss_from(std::optional<std::string> loss,
                                       std::vector<double> parameters,
                                       const std::vector<HeadLossTuple>& heads) {
  plan::LossDescription made{loss.value_or(""), std::move(parameters), {}};
  for (const auto& [name, values, weight] : heads) made.heads.push_back({name, values, weight});
  return made;
}

}  // namespace gd::bindings

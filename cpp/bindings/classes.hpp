#pragma once

// The classes Python sees by dtype, as C++ shares them among the bind_*.cpp files.

#include <memory>

#include "train/model.hpp"

namespace gd::bindings {

// Network32 and Network64: a model behind a shared pointer, which trainers hold too.
template <class T>
using ModelPointer = std::shared_ptr<train::Model<T>>;

}  // namespace gd::bindings

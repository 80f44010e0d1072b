#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/philox.hpp"

namespace gd::nn {

// Fills initial values of a dense layer with `fan_in` inputs and `fan_out` outputs, drawn in double
// and rounded to T. An unknown name is a ValueError that lists the known ones.
//   he       variance 2 / fan_in               He et al., ICCV 2015
//   glorot   variance 2 / (fan_in + fan_out)   Glorot, Bengio, AISTATS 2010
//   lecun    variance 1 / fan_in               LeCun et al., "Efficient BackProp", 1998
//            each as _normal or _uniform (on +-sqrt(3 variance))
//   pytorch  uniform on +-1 / sqrt(fan_in), for weights and biases: torch.nn.Linear's default
//   normal   variance 1: torch.nn.Embedding's default
//   zeros
//   orthogonal  a matrix (fan_out, fan_in) whose rows, or columns where these are fewer, are
//            orthogonal, each of length `gain`        Saxe et al., ICLR 2014, arXiv:1312.6120
// All but the last leave `gain` alone. ValueError where values are to be orthogonal and no such
// matrix.
template <class T>
void initialize(const std::string& name, int64_t fan_in, int64_t fan_out,
                base::RandomStream& random, std::span<T> values, double gain = 1);

std::vector<std::string> initializer_names();

// ValueError unless known.
void check_initializer(const std::string& name);

}  // namespace gd::nn

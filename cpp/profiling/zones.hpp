#pragma once

// The one list of zones: what a profile can name. The first argument is the enumerator, the second
// the name users see, the third what the time was spent on and why it has a line of its own.
// Taken out: packing an operand, which is interleaved with the product tile by tile; a clock read
// at each panel would cost more than what it tells.

#include <array>
#include <cstdint>

// clang-format off
#define GD_PROFILING_ZONES(X)                                                                      \
  /* Phases of a training run, as the caller sees them. */                                         \
  X(kForward, "forward", "network output for a batch")                                             \
  X(kBackward, "backward", "gradients of all layers, last to first")                               \
  X(kData, "data", "checking arrays, shuffling samples")                                           \
  X(kConvert, "convert", "copying an array in another dtype or order; the layer is the array")     \
  X(kCallback, "callback", "Python callbacks and the progress bar; the GIL is held")               \
  X(kStep, "step", "a step beside its operations: lock, schedule, waking workers, sum of losses")  \
  X(kExchange, "exchange", "bytes on their way between ranks, and waiting for ranks that are later") \
  X(kCaller, "caller", "the program itself, between two calls of gdcore")                          \
  X(kGil, "gil", "waiting for Python's lock, which another thread of Python's has")                \
  X(kRecorder, "recorder", "the profiler's own: fresh memory for events")                          \
  /* Phases that are no training: their operations are those of a step. */                         \
  X(kValidation, "validation", "loss and outputs of data that nothing is learnt from")             \
  X(kInference, "inference", "predictions")                                                        \
  X(kChecks, "checks", "gradients by differences, to check others")                                \
  /* Operations of a plan, as a worker sees them. */                                               \
  X(kGather, "gather", "copying a batch's rows side by side")                                      \
  X(kDenseForward, "dense_forward", "x W^T + b, with the activation where it is fused")            \
  X(kActivationForward, "activation_forward", "an activation that the product does not fuse")      \
  X(kLoss, "loss", "loss of a batch and its gradient at the output; also a phase")                 \
  X(kActivationBackward, "activation_backward", "gradient times the activation's derivative")      \
  X(kWeightGradient, "weight_gradient", "dY^T X: a third of the arithmetic of a step")             \
  X(kBiasGradient, "bias_gradient", "column sums of dY")                                           \
  X(kInputGradient, "input_gradient", "dY W: not done for the first layer")                        \
  X(kNormForward, "norm_forward", "rows brought to one mean and spread")                          \
  X(kNormBackward, "norm_backward", "the gradient behind a normalization")                        \
  X(kLookup, "lookup", "rows of tables copied to where codes ask for them")                        \
  X(kTableGradient, "table_gradient", "rows of a batch added up by the rows of a table they read") \
  X(kDropout, "dropout", "elements left out at random, and their gradients")                      \
  X(kAdd, "add", "sums of layers' outputs, and of the gradients where several layers read one")     \
  X(kAddParts, "add_parts", "sum of the gradients of parts of a batch, where workers share it")    \
  X(kShareWeights, "share_weights", "taking over what other workers updated, to weights of one's own") \
  X(kClip, "clip", "norm of the whole gradient, and its scaling: a barrier before the update")     \
  X(kUpdate, "update", "the rule's pass over weights and states; also a phase")                    \
  X(kSnapshot, "snapshot", "copy of parameters and states that a diverged epoch goes back to")     \
  X(kMatmul, "matmul", "a product of two matrices by gd.matmul; also a phase")                     \
  X(kNumericalGradient, "numerical_gradient", "losses a step away from each parameter")            \
  /* What a worker does when it does nothing. */                                                   \
  X(kWait, "wait", "spinning for another worker: imbalance, a few microseconds each; a phase")     \
  X(kSleep, "sleep", "asleep in the kernel for another worker: long waits, busy neighbours")         \
  X(kYield, "yield", "letting others of the system have its core, between two runs")
// clang-format on

namespace gd::profiling {

enum class Zone : std::uint8_t {
#define GD_ZONE(id, text, what) id,
  GD_PROFILING_ZONES(GD_ZONE)
#undef GD_ZONE
};

#define GD_ZONE(id, text, what) Zone::id,
inline constexpr std::array kZones{GD_PROFILING_ZONES(GD_ZONE)};
#undef GD_ZONE

const char* name(Zone zone);
const char* what(Zone zone);

}  // namespace gd::profiling

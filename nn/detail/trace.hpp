#pragma once
// Runs a net once and writes down the ops that it was made of.

#include <functional>

#include "nn/detail/graph.hpp"
#include "nn/module.hpp"

namespace lucid::nn::plan {

using Forward = std::function<Tensor(const Tensor& input)>;

/// The graph of forward(input), without what the result does not need. Throws Error where the result does not
/// depend on the input, where a tensor was changed in place between two ops, and where a tensor that an op
/// read was computed from the input out of the observer's sight: found by a second run with another input,
/// which is made where there are constants that are no parameters or buffers of `net`.
Graph trace(Module& net, const Forward& forward, const Tensor& input);

}  // namespace lucid::nn::plan

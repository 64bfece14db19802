#pragma once
// Activations: functions of one tensor, element by element, that keep its shape and layout.

#include "lucid/tensor.hpp"

namespace lucid {

/// max(x, 0); derivative 0 at 0. Keeps its result alone for the backward pass. Integers stay integers.
Tensor relu(const Tensor& input);
/// x where x > 0, else negative_slope * x; derivative negative_slope at 0.
Tensor leaky_relu(const Tensor& input, double negative_slope = 0.01);

/// In place; recorded. Throw AutogradError on a leaf that requires a gradient and on shared memory, while
/// recording.
const Tensor& relu_(const Tensor& input);
const Tensor& leaky_relu_(const Tensor& input, double negative_slope = 0.01);

}  // namespace lucid

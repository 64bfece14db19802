#pragma once
// 1 / cosh(x)^2, the derivative of tanh and, at x / 2, four times that of sigmoid. Not for callers: it exists
// since what these derivatives are otherwise made of, 1 - tanh^2 or sigmoid(2x) sigmoid(-2x), loses all
// digits, the former far out, and the latter near 0 once it is differentiated itself.

#include "lucid/tensor.hpp"

namespace lucid::ops {

/// Of each element, exact to a few roundings wherever it is not 0; so are its own derivatives of any order.
Tensor sech_squared(const Tensor& input);

}  // namespace lucid::ops

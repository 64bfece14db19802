#pragma once
// log(sum(e^x)), taken from the largest x of each sum so that nothing overflows. Nothing is recorded.

#include "ops/kernels/reduce.hpp"

namespace lucid::kernels {

/// Of `input` (floating, not empty) over `axes` into `out`, of the input's type and with 1 at `axes`. Sums
/// and logarithms are those of float64.
void logsumexp(const Tensor& out, const Tensor& input, const Axes& axes);
/// grad * softmax(input) over `axes`; `grad` has 1 at `axes`, `grad_input` the input's shape and type.
void logsumexp_backward(const Tensor& grad_input, const Tensor& grad, const Tensor& input, const Axes& axes);

}  // namespace lucid::kernels

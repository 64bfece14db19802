#pragma once
// The bounded cache of convolution plans, and running them.

#include "ops/conv_problem.hpp"

namespace lucid::ops {

/// Writes the operand that `pass` produces, from the other two. float32 or float64, rank 5, nothing empty; x
/// and y channels-last; a produced weight contiguous; bias (rank 1, contiguous, undefined for none) is added
/// to a produced x or y. Plans are made once for each shape and kept.
void run_conv(const ConvProblem& problem, ConvPass pass, const Tensor& x, const Tensor& weight,
              const Tensor& y, const Tensor& bias = {});

/// Counts a copy of `activation` to channels-last.
void count_activation_reorder(const Tensor& activation);

}  // namespace lucid::ops

#pragma once
// Gradients of weights that tie few channels to few others: dot products along lines of voxels, which are
// copied channel by channel. Vectors along channels would be mostly empty.

#include "ops/conv_problem.hpp"

namespace lucid::direct {

/// Whether this serves and is faster than vectors along channels, which conv_weight_grad() has otherwise.
bool has_weight_dots(const ops::ConvProblem& problem);

/// As conv_weight_grad() of ops/direct/conv.hpp, of float32, but `out` contiguous; of any problem with at
/// least one voxel and channel. Lines end in zeros, which an infinite value of the other operand turns into
/// NaN.
void weight_dots(const ops::ConvProblem& problem, const Tensor& x, const Tensor& y, const Tensor& out);

}  // namespace lucid::direct

#pragma once
// Convolutions of one input and one output channel a group, with any stride and dilation: every voxel of the
// result is summed over its taps in registers, channels in vectors.

#include "ops/conv_problem.hpp"

namespace lucid::direct {

using ops::ConvProblem;

/// The arguments of conv_forward(), conv_transpose() and conv_weight_grad() (ops/direct/conv.hpp).
void depthwise_forward(const ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                       const Tensor& out);
void depthwise_transpose(const ConvProblem& problem, const Tensor& y, const Tensor& weight,
                         const Tensor& bias, const Tensor& out);
void depthwise_weight_grad(const ConvProblem& problem, const Tensor& x, const Tensor& y, const Tensor& out);

}  // namespace lucid::direct

#pragma once
// Convolutions whose y is one voxel and whose kernel covers x, as the first layer of a decoder has them:
// plain matrix products of (N, Cy), (Cy, Cx taps) and (N, Cx taps).

#include "ops/conv_problem.hpp"

namespace lucid::direct {

using ops::ConvPass;
using ops::ConvProblem;

bool is_single_voxel(const ConvProblem& problem);

/// Writes the operand that the pass produces; the arguments of run_conv() (ops/conv_plan.hpp).
void run_single_voxel(const ConvProblem& problem, ConvPass pass, const Tensor& x, const Tensor& weight,
                      const Tensor& y, const Tensor& bias);

}  // namespace lucid::direct

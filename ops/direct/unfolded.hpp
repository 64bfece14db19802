#pragma once
// Convolutions of few voxels and many channels, whose weight is larger than a cache: general matrix products
// that read or write the weight once, as it lies, of an x that is unfolded into patches a few channels at a
// time.

#include "ops/conv_problem.hpp"

namespace lucid::direct {

using ops::ConvPass;
using ops::ConvProblem;

/// Whether this serves: one group, and patches, one for each voxel of y, of bounded size.
bool has_unfolded(const ConvProblem& problem);

/// Writes the operand that the pass produces; the arguments of run_conv() (ops/conv_plan.hpp), with a
/// contiguous weight.
void run_unfolded(const ConvProblem& problem, ConvPass pass, const Tensor& x, const Tensor& weight,
                  const Tensor& y, const Tensor& bias);

}  // namespace lucid::direct

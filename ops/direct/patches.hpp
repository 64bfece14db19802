#pragma once
// Transposed convolutions whose kernel is as large as the stride, as most decoders have: each voxel of y
// becomes a patch of x, and patches don't overlap.

#include "ops/conv_problem.hpp"
#include "ops/packed_weights.hpp"

namespace lucid::direct {

/// Kernel = stride on each axis, without padding, dilation or groups.
bool has_patches(const ops::ConvProblem& problem);

/// x = the patches of y through `weight`, plus `bias`. Arguments as run_conv() has them; has_patches(problem)
/// is required. The packed weight is kept in `kept`.
void scatter_patches(const ops::ConvProblem& problem, const Tensor& y, const Tensor& weight,
                     const Tensor& bias, const Tensor& x, const ops::PackedWeights& kept);

}  // namespace lucid::direct

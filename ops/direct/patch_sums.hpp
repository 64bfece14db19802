#pragma once
// Convolutions of patches to few channels, and their weight gradients: kernel = stride, as in the gradients
// of a decoder's last upsampling. Vectors run along the lines of x, whatever its channels, and the sums of a
// patch are added up at the end.

#include "ops/conv_problem.hpp"

namespace lucid::direct {

/// Whether these serve: has_patches() of more than a voxel, no gaps between the voxels of x, a line
/// of a patch of 2, 4 or 8 elements that a register holds, and at most eight elements for all channels of y
/// together.
bool has_patch_sums(const ops::ConvProblem& problem);

/// As conv_forward() of ops/direct/conv.hpp, of float32: `out` from `x`.
void sum_patches(const ops::ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                 const Tensor& out);

/// As conv_weight_grad() of ops/direct/conv.hpp, of float32: `out`, which is contiguous, from `x` and `y`.
void patch_weight_grad(const ops::ConvProblem& problem, const Tensor& x, const Tensor& y, const Tensor& out);

}  // namespace lucid::direct

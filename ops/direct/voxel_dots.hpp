#pragma once
// The convolution of one tap and few outputs, like the head of a net: each output of a voxel is a dot product
// of its channels, which is read from memory as fast as it comes.

#include "lucid/tensor.hpp"
#include "ops/conv_problem.hpp"

namespace lucid::direct {

/// Whether the kernel is 1, meets every voxel, and has at most 4 outputs and some whole registers of
/// inputs.
bool has_voxel_dots(const ops::ConvProblem& p);

/// y = x * weight + bias in float32, all channels-last; x may lie within wider voxels.
void run_voxel_dots(const ops::ConvProblem& p, const Tensor& x, const Tensor& weight, const Tensor& bias,
                    const Tensor& y);

}  // namespace lucid::direct

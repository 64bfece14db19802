#pragma once
// Convolutions of few channels by kernels of neighbouring taps along W: each value of the source is loaded
// once for two or three taps that meet it, from lines with their padding, so that all voxels are alike.

#include "ops/conv_problem.hpp"
#include "ops/packed_weights.hpp"

namespace lucid::direct {

using ops::ConvProblem;

/// Whether conv_sliding() serves: two taps or more along W, next to each other, that move by one voxel, or to
/// y by a part of the kernel; few channels of the source, lines of the result that fill a block, and no dot
/// products (ops/direct/dots.hpp) to serve.
bool has_sliding(const ConvProblem& problem, ops::ConvPass pass);

/// As conv_forward() (pass y) or conv_transpose() (pass x) of ops/direct/conv.hpp, of float32: `to` from
/// `from`.
void conv_sliding(const ConvProblem& problem, ops::ConvPass pass, const Tensor& from, const Tensor& weight,
                  const Tensor& bias, const Tensor& to, const ops::PackedWeights& kept);

}  // namespace lucid::direct

#pragma once
// The partials of the convolutions' trilinear form (ops/conv_shape.hpp) as direct loops: for float64, and for
// whatever oneDNN refuses or would run slowly.

#include "ops/conv_problem.hpp"
#include "ops/packed_weights.hpp"

namespace lucid::direct {

using ops::ConvProblem;

/// Whether that pass takes an x that is read and has gaps (ConvProblem::x_gap). The others take none.
bool takes_gaps(ops::ConvPass pass);

/// Bytes of a result of one-voxel kernels, or from few channels, that is written past the caches: smaller
/// ones are found there later.
inline constexpr std::int64_t kBytesPastCaches = 3 << 23;

/// Whether the weight's gradient is that of a kernel of one voxel to few channels, as a segmentation head
/// has, for which conv_weight_grad() has a way of its own.
bool is_voxelwise(const ConvProblem& problem);

/// out = conv(x, w) + bias, its adjoint in x (a transposed convolution) + bias, and its adjoint in w. All
/// tensors are float32 or all float64, of rank 5; x and y channels-last, w strided as it likes, bias (rank 1)
/// contiguous or undefined. None of the sizes of `out` is 0. The packed weight is kept in `kept`.
void conv_forward(const ConvProblem& problem, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const Tensor& out, const ops::PackedWeights& kept);
void conv_transpose(const ConvProblem& problem, const Tensor& y, const Tensor& weight, const Tensor& bias,
                    const Tensor& out, const ops::PackedWeights& kept);
void conv_weight_grad(const ConvProblem& problem, const Tensor& x, const Tensor& y, const Tensor& out);

}  // namespace lucid::direct

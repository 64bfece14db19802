#pragma once
// Gradients of large weights from few voxels: the sums of some channels over all voxels are one product.

#include "ops/conv_problem.hpp"

namespace lucid::direct {

/// Whether this serves, and well: channels that fill a vector, of each group a few, and some voxels of y, but
/// few enough to be summed in the tensors' type.
bool has_weight_by_channels(const ops::ConvProblem& problem);

/// The arguments of conv_weight_grad() (ops/direct/conv.hpp): any, but `out` contiguous.
void weight_grad_by_channels(const ops::ConvProblem& problem, const Tensor& x, const Tensor& y,
                             const Tensor& out);

}  // namespace lucid::direct

#pragma once
// Convolutions of few voxels whose weight is larger than a cache, either way: one product for each tap, of
// all voxels that it reaches, so that the weight is read once and padding takes no time.

#include "ops/conv_problem.hpp"
#include "ops/packed_weights.hpp"

namespace lucid::direct {

/// Whether the voxels of y are few and the weight large enough that this is faster than going from line to
/// line.
bool has_tap_products(const ops::ConvProblem& problem);

/// to = conv(from) + bias, or its adjoint in x where `transposed`; float32, otherwise as conv_forward() and
/// conv_transpose() (ops/direct/conv.hpp) have them.
void run_tap_products(const ops::ConvProblem& problem, bool transposed, const Tensor& from,
                      const Tensor& weight, const Tensor& bias, const Tensor& to,
                      const ops::PackedWeights& kept);

}  // namespace lucid::direct

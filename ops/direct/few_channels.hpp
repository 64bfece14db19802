#pragma once
// Convolutions to few channels, which leave most of a vector idle: vectors run along the voxels of a line
// instead. Sums over the input's channels and the taps along depth and height are products of whole lines
// with the weight; what the taps along width gave is then added where it belongs.

#include "ops/conv_problem.hpp"

namespace lucid::direct {

using ops::ConvProblem;

/// Whether conv_few_channels() serves: one group, few channels of the produced operand and few taps along
/// width, lines that fill a vector, a moderate stride along width (of y: 1).
bool has_few_channels(const ConvProblem& problem, ops::ConvPass pass);

/// As conv_forward() (pass y) or conv_transpose() (pass x) of ops/direct/conv.hpp: `to` from `from`.
void conv_few_channels(const ConvProblem& problem, ops::ConvPass pass, const Tensor& from,
                       const Tensor& weight, const Tensor& bias, const Tensor& to);

}  // namespace lucid::direct

#pragma once
// Transposed convolutions to few channels, where oneDNN leaves most of a vector idle: a matrix product of
// each input plane with all taps of one kernel depth, whose rows are then added where they belong (GEMM and
// gather).

#include "ops/conv_problem.hpp"

namespace lucid::direct {

using ops::ConvProblem;

/// Whether conv_transpose_few() serves: one group and so few channels of x that a row of taps fits a few
/// vectors.
bool has_few_channels(const ConvProblem& problem);

/// As conv_transpose() (ops/direct/conv.hpp).
void conv_transpose_few(const ConvProblem& problem, const Tensor& y, const Tensor& weight, const Tensor& bias,
                        const Tensor& out);

}  // namespace lucid::direct

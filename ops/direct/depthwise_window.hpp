#pragma once
// Depthwise convolutions with a stride of 1 in float32: lines of the source are rearranged by registers of
// channels, with zeros around them, once for all lines of the result that meet them. A register of sources is
// then loaded once for all taps of a line.

#include "lucid/tensor.hpp"
#include "ops/conv_problem.hpp"

namespace lucid::direct {

/// Whether all strides and dilations are 1, a line has 3 to 7 taps, all taps make up for the rearrangement,
/// and the lines that a few of the result meet stay in a core's cache.
bool has_depthwise_window(const ops::ConvProblem& problem);

/// Pass y (from: x) or x (from: y) of a depthwise problem, with a weight strided as it likes; activations
/// channels-last, bias contiguous or undefined.
void depthwise_window(const ops::ConvProblem& problem, ops::ConvPass pass, const Tensor& from,
                      const Tensor& weight, const Tensor& bias, const Tensor& to);

/// Pass w: the gradient of a weight, strided as it likes.
void depthwise_window_weight_grad(const ops::ConvProblem& problem, const Tensor& x, const Tensor& y,
                                  const Tensor& weight);

}  // namespace lucid::direct

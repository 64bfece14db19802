#pragma once
// The cost rule: which algorithm computes a pass fastest. Measured with oneDNN 2.6 and channels-last
// operands, on processors with wide registers (AVX-512) and on those with narrow ones (AVX2) apart: they
// differ in what leaves a register idle and in which of oneDNN's kernels are good.

#include "ops/conv_problem.hpp"

namespace lucid::ops {

/// Whether Winograd serves a pass, and what it holds beside the operands stays moderate: rows that are not
/// too wide, few taps along depth, some 20 MB of sums a thread at most for a weight's gradient.
bool winograd_fits(const ConvProblem& problem, ConvPass pass);
/// Whether it is the fastest of what serves: with enough voxels to share the reading of the weight, few
/// enough products, and taps along depth to share the transforms, or else many channels.
bool winograd_is_faster(const ConvProblem& problem, ConvPass pass);

/// Whether the kernel for few channels of the result serves, and is faster than the others of float32.
bool few_channels_are_faster(const ConvProblem& problem, ConvPass pass);
/// Whether voxels unfolded into all taps serve, and are faster than the direct convolution and oneDNN's.
bool unfolded_is_faster(const ConvProblem& problem, ConvPass pass);
/// Whether the direct convolution is faster than oneDNN's.
bool direct_is_faster(const ConvProblem& problem, ConvPass pass);

namespace wide {
bool few_channels_are_faster(const ConvProblem& problem, ConvPass pass);
bool unfolded_is_faster(const ConvProblem& problem, ConvPass pass);
bool direct_is_faster(const ConvProblem& problem, ConvPass pass);
}  // namespace wide

namespace narrow {
/// Where Winograd's kernel needs fewer products, but not less time.
bool others_beat_winograd(const ConvProblem& problem, ConvPass pass);
bool few_channels_are_faster(const ConvProblem& problem, ConvPass pass);
bool unfolded_is_faster(const ConvProblem& problem, ConvPass pass);
bool direct_is_faster(const ConvProblem& problem, ConvPass pass);
}  // namespace narrow

/// One tap that meets every voxel: a matrix product.
inline bool is_product(const ConvProblem& p) { return p.taps() == 1 && p.geometry.stride == Dims3(1); }

}  // namespace lucid::ops

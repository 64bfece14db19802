#pragma once
// The bounded cache of convolution plans, and running them.

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ops/conv_problem.hpp"

namespace lucid::ops {

/// Writes the operand that `pass` produces, from the other two. One floating type, except that the weight
/// produced from bfloat16 is float32; rank 5, nothing empty; x and y channels-last, an x that is read perhaps
/// with gaps between its voxels (voxel_gap()); a produced weight contiguous; bias (rank 1, contiguous,
/// undefined for none) is added to a produced x or y. Plans are made once for each shape and kept.
void run_conv(const ConvProblem& problem, ConvPass pass, const Tensor& x, const Tensor& weight,
              const Tensor& y, const Tensor& bias = {});

struct ConvPlan;
struct MeasuredPlan {
  std::shared_ptr<const ConvPlan> plan;
  double seconds;  ///< the least of a few runs
};
/// Each algorithm that serves run_conv() with these operands. What is produced is written several times.
std::vector<MeasuredPlan> measured_plans(const ConvProblem& problem, ConvPass pass, const Tensor& x,
                                         const Tensor& weight, const Tensor& y, const Tensor& bias);

/// run_conv() of pass y, where x's channels come in parts; false, and y not written, where the plan's kernel
/// does not take them so.
bool run_conv_of_parts(const ConvProblem& problem, std::span<const Tensor> parts, const Tensor& weight,
                       const Tensor& y, const Tensor& bias);

/// The tensor, or its copy in channels-last order, which is counted.
Tensor in_channels_last(const Tensor& tensor);

/// Elements between the voxels of (N, C, D, H, W) where all channels of a voxel lie together and the voxels
/// follow in order: 0 in channels-last, what was cut off in a slice of channels. Nothing in any other order.
std::optional<std::int64_t> voxel_gap(const Tensor& tensor);

}  // namespace lucid::ops

#pragma once
// Normalisations: (input - mean) / sqrt(variance + eps) * weight + bias, with the biased variance. Statistics
// are kept in double; the result has input's dtype and memory layout. Those over channels can apply the
// leaky_relu that usually follows in the same pass, forward and backward.

#include <optional>

#include "lucid/tensor.hpp"

namespace lucid {

struct BatchNormOptions {
  bool training = false;                 ///< use the batch's statistics, and update the running ones
  std::optional<double> momentum = 0.1;  ///< share of the batch in the running statistics
  double eps = 1e-5;
  double negative_slope = 1;  ///< of a leaky_relu of the result; 1: none, 0: relu
};
/// Over all axes but 1 of input (N, C, ...), rank 2 or more. running_mean, running_var, weight, bias: (C) or
/// undefined. When training, the running statistics are changed in place: they become (1 - momentum) *
/// running
/// + momentum * batch, with the unbiased variance. Throws Error on one value per channel in training, on
/// missing running statistics otherwise, and on an empty momentum where there are statistics to update.
Tensor batch_norm(const Tensor& input, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight = {}, const Tensor& bias = {}, const BatchNormOptions& options = {});

struct InstanceNormOptions {
  bool use_input_stats = true;  ///< else the running ones
  double momentum = 0.1;        ///< as in batch_norm, with statistics averaged over the samples
  double eps = 1e-5;
  double negative_slope = 1;  ///< as in batch_norm
};
/// Over the spatial axes of input (N, C, spatial...). Arguments as in batch_norm. Throws Error on a single
/// spatial element when use_input_stats.
Tensor instance_norm(const Tensor& input, const Tensor& running_mean = {}, const Tensor& running_var = {},
                     const Tensor& weight = {}, const Tensor& bias = {},
                     const InstanceNormOptions& options = {});

/// Over the spatial axes and each of `num_groups` runs of channels of input (N, C, ...). weight, bias: (C) or
/// undefined; negative_slope as in batch_norm. Throws Error unless num_groups divides C.
Tensor group_norm(const Tensor& input, std::int64_t num_groups, const Tensor& weight = {},
                  const Tensor& bias = {}, double eps = 1e-5, double negative_slope = 1);

/// Over the last axes of input, whose sizes must be `normalized_shape`. weight, bias: that shape or
/// undefined.
Tensor layer_norm(const Tensor& input, const Shape& normalized_shape, const Tensor& weight = {},
                  const Tensor& bias = {}, double eps = 1e-5);

/// input / sqrt(mean(input^2) + eps) * weight over the last axes, whose sizes must be `normalized_shape`.
/// eps: that of input's dtype (float32: 2^-23) unless given.
Tensor rms_norm(const Tensor& input, const Shape& normalized_shape, const Tensor& weight = {},
                std::optional<double> eps = {});

}  // namespace lucid

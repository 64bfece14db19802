#pragma once
// What batch, instance and group normalisation share: y = (x - mean) * rstd * weight + bias, where mean and
// rstd are those of the group that a (sample, channel) belongs to. Tensors are (N, C, spatial...).

#include <string_view>
#include <vector>

#include "autograd/node.hpp"
#include "lucid/tensor.hpp"
#include "ops/kernels/channels.hpp"

namespace lucid::ops {

/// Which (sample, channel) pairs share a mean and a variance.
struct Grouping {
  std::int64_t samples = 0;
  std::int64_t channels = 0;
  std::int64_t spatial = 0;     ///< elements of one (sample, channel)
  std::int64_t groups = 0;      ///< of channels; divides `channels`
  bool across_samples = false;  ///< batch normalisation: all samples share

  Grouping(const Tensor& input, std::int64_t groups, bool across_samples);
  std::int64_t count() const { return across_samples ? groups : samples * groups; }
  std::int64_t of(std::int64_t sample, std::int64_t channel) const {
    return (across_samples ? 0 : sample * groups) + channel / (channels / groups);
  }
  /// Elements of one group; 0 when there is no channel.
  std::int64_t elements() const {
    return groups == 0 ? 0 : channels / groups * spatial * (across_samples ? samples : std::int64_t{1});
  }
};

/// One value for each group.
struct Statistics {
  std::vector<double> mean;
  std::vector<double> variance;  ///< biased: the sum of squared deviations over the number of elements
};
/// `input` is channel-ordered (ops/kernels/channels.hpp).
Statistics statistics(const Tensor& input, const Grouping& grouping);

/// 1 / sqrt(variance + eps).
std::vector<double> reciprocal_std(const std::vector<double>& variance, double eps);

/// The normalised, scaled and shifted input, through a leaky_relu of `negative_slope`, laid out like `input`,
/// which is channel-ordered. `weight` and `bias` have shape (C) or are undefined. Not recorded.
Tensor normalize(const Tensor& input, const Grouping& grouping, const std::vector<double>& mean,
                 const std::vector<double>& rstd, const Tensor& weight, const Tensor& bias,
                 double negative_slope);

/// The coefficients of (input - mean) * scale + shift for each (sample, channel).
kernels::Affine affine_of(const Grouping& grouping, const std::vector<double>& mean,
                          const std::vector<double>& rstd, const Tensor& weight, const Tensor& bias);

/// What a backward pass through normalize() knows.
struct NormBackward {
  const Tensor& grad;
  const Tensor& input;
  const Tensor& weight;  ///< may be undefined
  const Tensor& bias;    ///< likewise; read only with a leaky_relu
  const Tensor& mean;    ///< float64, one for each group
  const Tensor& rstd;    ///< likewise
  double negative_slope;
  Grouping grouping;
  double eps;
  bool from_input;              ///< mean and rstd were computed from the input; else they are constants
  Tensor running_mean;          ///< what they were taken from otherwise, if that wants a gradient
  Tensor running_var;           ///< likewise
  const autograd::Mask& wants;  ///< of input, running_mean, running_var, weight, bias
};

/// Gradients in the order of `wants`. Fused kernels; a composition of differentiable operations while
/// recording.
Tensors normalize_backward(const NormBackward& b);

}  // namespace lucid::ops

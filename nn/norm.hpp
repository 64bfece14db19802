#pragma once
// Normalisation layers. Parameters and buffers have PyTorch's names, shapes and initial values (weight 1,
// bias 0, running mean 0, running variance 1).

#include <optional>

#include "nn/module.hpp"

namespace lucid::nn {

struct BatchNormLayerOptions {
  double eps = 1e-5;
  std::optional<double> momentum =
      0.1;                          ///< empty: the running statistics are plain averages over all batches
  bool affine = true;               ///< has weight and bias
  bool track_running_stats = true;  ///< keep statistics, and use them in eval()
};

/// Over batch and spatial axes. input (batch, num_features, N spatial axes); BatchNorm1d also takes (batch,
/// num_features). In train() the batch's own statistics are used and the running ones updated. A
/// `negative_slope` other than 1 is that of a leaky_relu of the result, which costs no pass of its own.
template <std::size_t N>
struct BatchNorm : Module {
  explicit BatchNorm(std::int64_t num_features, const BatchNormLayerOptions& options = {});
  Tensor operator()(const Tensor& input, double negative_slope = 1) const;
  std::string type_name() const override;
  std::string extra_repr() const override;

  std::int64_t num_features;
  BatchNormLayerOptions options;
  Parameter weight, bias;                                 // (num_features)
  Buffer running_mean, running_var, num_batches_tracked;  // (num_features) twice, () int64
  LUCID_FIELDS(weight, bias, running_mean, running_var, num_batches_tracked)
};

struct InstanceNormLayerOptions {
  double eps = 1e-5;
  double momentum = 0.1;
  bool affine = false;
  bool track_running_stats = false;
};

/// Over the spatial axes of each sample. input (batch, num_features, N spatial axes), or without batch axis.
/// `negative_slope` as in BatchNorm.
template <std::size_t N>
struct InstanceNorm : Module {
  explicit InstanceNorm(std::int64_t num_features, const InstanceNormLayerOptions& options = {});
  Tensor operator()(const Tensor& input, double negative_slope = 1) const;
  std::string type_name() const override;
  std::string extra_repr() const override;

  std::int64_t num_features;
  InstanceNormLayerOptions options;
  Parameter weight, bias;
  Buffer running_mean, running_var, num_batches_tracked;
  LUCID_FIELDS(weight, bias, running_mean, running_var, num_batches_tracked)
};

struct GroupNormLayerOptions {
  double eps = 1e-5;
  bool affine = true;
};

/// Over each of num_groups runs of channels of each sample. input (batch, num_channels, ...).
struct GroupNorm : Module {
  GroupNorm(std::int64_t num_groups, std::int64_t num_channels, const GroupNormLayerOptions& options = {});
  Tensor operator()(const Tensor& input, double negative_slope = 1) const;
  std::string extra_repr() const override;

  std::int64_t num_groups, num_channels;
  GroupNormLayerOptions options;
  Parameter weight, bias;  // (num_channels)
  LUCID_FIELDS(weight, bias)
};

struct LayerNormLayerOptions {
  double eps = 1e-5;
  bool elementwise_affine = true;
};

/// Over the last axes, whose sizes are normalized_shape.
struct LayerNorm : Module {
  explicit LayerNorm(const Shape& normalized_shape, const LayerNormLayerOptions& options = {});
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;

  Shape normalized_shape;
  LayerNormLayerOptions options;
  Parameter weight, bias;  // normalized_shape
  LUCID_FIELDS(weight, bias)
};

struct RMSNormLayerOptions {
  std::optional<double> eps = {};  ///< empty: that of input's type, 2^-23 for float32
  bool elementwise_affine = true;
};

/// Divides by the root mean square over the last axes, whose sizes are normalized_shape.
struct RMSNorm : Module {
  explicit RMSNorm(const Shape& normalized_shape, const RMSNormLayerOptions& options = {});
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;

  Shape normalized_shape;
  RMSNormLayerOptions options;
  Parameter weight;  // normalized_shape
  LUCID_FIELDS(weight)
};

using BatchNorm1d = BatchNorm<1>;
using BatchNorm2d = BatchNorm<2>;
using BatchNorm3d = BatchNorm<3>;
using InstanceNorm1d = InstanceNorm<1>;
using InstanceNorm2d = InstanceNorm<2>;
using InstanceNorm3d = InstanceNorm<3>;

extern template struct BatchNorm<1>;
extern template struct BatchNorm<2>;
extern template struct BatchNorm<3>;
extern template struct InstanceNorm<1>;
extern template struct InstanceNorm<2>;
extern template struct InstanceNorm<3>;

}  // namespace lucid::nn

#pragma once
// Convolution layers over one, two and three spatial axes.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "nn/module.hpp"
#include "ops/conv.hpp"

namespace lucid::nn {

/// Arguments of a convolution layer under PyTorch's names.
template <std::size_t N>
struct ConvLayerOptions {
  Dims<N> kernel_size = 0;  ///< must be given
  Dims<N> stride = 1;
  Padding<N> padding = 0;  ///< numbers, "same" or "valid"
  Dims<N> dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
  std::string padding_mode = "zeros";  ///< or "reflect", "replicate", "circular"
};

template <std::size_t N>
struct ConvTransposeLayerOptions {
  Dims<N> kernel_size = 0;  ///< must be given
  Dims<N> stride = 1;
  Dims<N> padding = 0;
  Dims<N> output_padding = 0;  ///< smaller than stride or dilation on its axis
  Dims<N> dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
  std::string padding_mode = "zeros";  ///< no other is defined for the transposed convolution
};

/// `nn::Conv3d conv(1, 8, {.kernel_size = 3, .padding = 1});`
/// weight (out_channels, in_channels / groups, kernel...), bias (out_channels) or undefined; both start from
/// U(-b, b), b = 1 / sqrt(in_channels / groups * kernel elements), as PyTorch's. The constructor throws Error
/// naming the argument that is out of range.
template <std::size_t N>
struct Conv : Module {
  Conv(std::int64_t in_channels, std::int64_t out_channels, const ConvLayerOptions<N>& options);

  /// (batch, in_channels, spatial...), or without the batch axis.
  Tensor operator()(const Tensor& input) const;

  /// The same of cat(inputs) along the channels, without a joined copy that waits for the backward pass
  /// (ops/conv_joined.hpp). Over three axes.
  Tensor operator()(const Tensors& inputs) const requires(N == 3);

  /// The JSON form of the options: keys are PyTorch's argument names. Throws Error naming a key that is
  /// unknown or ill-typed.
  static ConvLayerOptions<N> read_options(const nlohmann::json& in);

  std::string type_name() const override;
  std::string extra_repr() const override;

  std::int64_t in_channels, out_channels;
  ConvLayerOptions<N> options;
  Parameter weight, bias;
  LUCID_FIELDS(weight, bias)
};

/// `nn::ConvTranspose3d up(64, 32, {.kernel_size = 2, .stride = 2});`
/// weight (in_channels, out_channels / groups, kernel...), bias (out_channels) or undefined; both start from
/// U(-b, b), b = 1 / sqrt(out_channels / groups * kernel elements), as PyTorch's. The constructor throws
/// Error naming the argument that is out of range.
template <std::size_t N>
struct ConvTranspose : Module {
  ConvTranspose(std::int64_t in_channels, std::int64_t out_channels,
                const ConvTransposeLayerOptions<N>& options);

  /// (batch, in_channels, spatial...), or without the batch axis.
  Tensor operator()(const Tensor& input) const;
  /// The same with output_padding chosen such that the result has `output_size`: its spatial sizes, or its
  /// whole shape. Throws Error with the sizes that can be reached: on each axis the smallest is
  /// stride * (n - 1) + dilation * (k - 1) - 2 * padding + 1, the largest max(stride, dilation) - 1 more.
  Tensor operator()(const Tensor& input, const Shape& output_size) const;
  /// The output_padding of the call above.
  Dims<N> output_padding_for(const Shape& input, const Shape& output_size) const;

  static ConvTransposeLayerOptions<N> read_options(const nlohmann::json& in);

  std::string type_name() const override;
  std::string extra_repr() const override;

  std::int64_t in_channels, out_channels;
  ConvTransposeLayerOptions<N> options;
  Parameter weight, bias;
  LUCID_FIELDS(weight, bias)
};

using Conv1d = Conv<1>;
using Conv2d = Conv<2>;
using Conv3d = Conv<3>;
using ConvTranspose1d = ConvTranspose<1>;
using ConvTranspose2d = ConvTranspose<2>;
using ConvTranspose3d = ConvTranspose<3>;

extern template struct Conv<1>;
extern template struct Conv<2>;
extern template struct Conv<3>;
extern template struct ConvTranspose<1>;
extern template struct ConvTranspose<2>;
extern template struct ConvTranspose<3>;

}  // namespace lucid::nn

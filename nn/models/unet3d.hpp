#pragma once
// A volumetric encoder-decoder with skip connections. Ö. Çiçek et al., "3D U-Net: Learning Dense Volumetric
// Segmentation from Sparse Annotation", MICCAI 2016, with the choices of nnU-Net (F. Isensee et al., Nature
// Methods 2021): instance norm, leaky ReLU.

#include <optional>
#include <string>
#include <vector>

#include "nn/activation.hpp"
#include "nn/conv.hpp"
#include "nn/module.hpp"
#include "nn/norm.hpp"
#include "nn/upsample.hpp"

namespace lucid::nn::models {

enum class Norm { instance, batch, none };
enum class Activation { leaky_relu, relu };       // leaky_relu has slope 0.01
enum class Decoder { conv_transpose, upsample };  // upsample: trilinear, then a 1x1x1 convolution
enum class OddSizes { pad, refuse };

struct UNet3dOptions {
  std::int64_t in_channels = 1;
  std::int64_t out_channels = 2;
  std::vector<std::int64_t> channels = {16, 32, 64, 128};  ///< per level, finest first
  std::vector<Dims3> strides =
      {};  ///< from each level to the next, channels.size() - 1 of them; empty: all 2
  Norm norm = Norm::instance;
  Activation activation = Activation::leaky_relu;
  Decoder decoder = Decoder::conv_transpose;
  /// What to do with a size that the strides don't divide: pad with zeros behind and crop the result, or
  /// throw Error naming the sizes that would work.
  OddSizes odd_sizes = OddSizes::pad;
  /// Keep the blocks' inputs only and compute the blocks again in the backward pass (autograd::checkpoint):
  /// less memory, a forward pass more of time. With batch norm the running values are then updated twice a
  /// step.
  bool checkpoint = false;
};

/// Two 3x3x3 convolutions without bias (with one when there is no norm), each with norm and activation.
struct ConvBlock : Module {
  ConvBlock(std::int64_t in_channels, std::int64_t out_channels, Norm norm, Activation activation);
  /// Of x: (N, in_channels, D, H, W), or of such parts of it as follow each other along the channels.
  Tensor operator()(const Tensor& x) const { return after_first(conv1(x)); }
  Tensor operator()(const Tensors& parts) const { return after_first(conv1(parts)); }

  Conv3d conv1, conv2;
  std::optional<InstanceNorm3d> instance1, instance2;
  std::optional<BatchNorm3d> batch1, batch2;
  Activation activation;
  LUCID_FIELDS(conv1, instance1, batch1, conv2, instance2, batch2)

 private:
  Tensor after_first(const Tensor& x) const;
};

/// One level of the decoder: up, beside the encoder's tensor of that level, convolved.
struct DecoderLevel : Module {
  DecoderLevel(std::int64_t in_channels, std::int64_t out_channels, const Dims3& stride,
               const UNet3dOptions& options);
  /// x: (N, in, D, H, W); skip: (N, out, D * stride, ...). Returns the shape of skip.
  Tensor operator()(const Tensor& x, const Tensor& skip) const;

  std::optional<ConvTranspose3d> up;
  std::optional<Conv3d> reduce;  // after trilinear upsampling
  ConvBlock block;
  Dims3 stride;
  LUCID_FIELDS(up, reduce, block)
};

/// (N, in_channels, D, H, W) to logits (N, out_channels, D, H, W).
struct UNet3d : Module {
  /// Throws Error on sizes or counts that don't make a net.
  explicit UNet3d(UNet3dOptions options = {});
  Tensor operator()(const Tensor& x) const;

  UNet3dOptions options;
  std::vector<ConvBlock> encoder;
  std::vector<DecoderLevel> decoder;  // finest first
  Conv3d head;
  LUCID_FIELDS(encoder, decoder, head)

 private:
  Dims3 total_stride() const;
};

}  // namespace lucid::nn::models

#include "nn/models/unet3d.hpp"

#include "autograd/checkpoint.hpp"
#include "ops/activation.hpp"
#include "ops/interpolate.hpp"
#include "ops/pad.hpp"
#include "ops/pool.hpp"
#include "ops/unary.hpp"

namespace lucid::nn::models {
namespace {

std::int64_t coarsest(const UNet3dOptions& options) {
  return static_cast<std::int64_t>(options.channels.size()) - 1;
}

UNet3dOptions checked(UNet3dOptions options) {
  check(!options.channels.empty(), "UNet3d",
        "channels is empty; give one number for each level, for example {16, 32, 64}");
  for (const std::int64_t count : options.channels)
    check(count > 0, "UNet3d", "channels holds ", count, "; all must be positive");
  check(options.in_channels > 0 && options.out_channels > 0, "UNet3d", "in_channels is ", options.in_channels,
        " and out_channels ", options.out_channels, "; both must be positive");
  const auto steps = static_cast<std::size_t>(coarsest(options));
  if (options.strides.empty()) options.strides.assign(steps, Dims3(2));
  check(options.strides.size() == steps, "UNet3d", options.strides.size(), " strides for ",
        options.channels.size(), " levels; one less than levels is required");
  for (const Dims3& stride : options.strides)
    for (const std::int64_t s : stride) check(s > 0, "UNet3d", "stride ", stride, " is not positive");
  return options;
}

Conv3d make_conv(std::int64_t in_channels, std::int64_t out_channels, Norm norm) {
  return Conv3d(in_channels, out_channels, {.kernel_size = 3, .padding = 1, .bias = norm == Norm::none});
}

}  // namespace

ConvBlock::ConvBlock(std::int64_t in_channels, std::int64_t out_channels, Norm norm, Activation chosen)
    : conv1(make_conv(in_channels, out_channels, norm)),
      conv2(make_conv(out_channels, out_channels, norm)),
      activation(chosen) {
  if (norm == Norm::instance) {
    instance1.emplace(out_channels, InstanceNormLayerOptions{.affine = true});
    instance2.emplace(out_channels, InstanceNormLayerOptions{.affine = true});
  } else if (norm == Norm::batch) {
    batch1.emplace(out_channels);
    batch2.emplace(out_channels);
  }
}

Tensor ConvBlock::after_first(const Tensor& x) const {
  const bool is_relu = activation == Activation::relu;
  const double slope = is_relu ? 0 : 0.01;
  const auto activate = [=](const auto& instance, const auto& batch, const Tensor& y) {
    return instance  ? (*instance)(y, slope)
           : batch   ? (*batch)(y, slope)
           : is_relu ? relu(y)
                     : leaky_relu(y, slope);
  };
  return activate(instance2, batch2, conv2(activate(instance1, batch1, x)));
}

DecoderLevel::DecoderLevel(std::int64_t in_channels, std::int64_t out_channels, const Dims3& step,
                           const UNet3dOptions& options)
    : block(2 * out_channels, out_channels, options.norm, options.activation), stride(step) {
  if (options.decoder == Decoder::conv_transpose)
    up.emplace(in_channels, out_channels, ConvTransposeLayerOptions<3>{.kernel_size = step, .stride = step});
  else
    reduce.emplace(in_channels, out_channels, ConvLayerOptions<3>{.kernel_size = 1});
}

Tensor DecoderLevel::operator()(const Tensor& x, const Tensor& skip) const {
  Tensor y;
  if (up) {
    y = (*up)(x);
  } else {
    const Shape& size = skip.shape();
    y = (*reduce)(interpolate(x, {.size = {size[2], size[3], size[4]}, .mode = InterpolateMode::trilinear}));
  }
  return block(Tensors{skip, y});
}

UNet3d::UNet3d(UNet3dOptions given)
    : options(checked(std::move(given))),
      head(options.channels.front(), options.out_channels, {.kernel_size = 1}) {
  const auto& channels = options.channels;
  for (std::size_t level = 0; level < channels.size(); ++level)
    encoder.emplace_back(level == 0 ? options.in_channels : channels[level - 1], channels[level],
                         options.norm, options.activation);
  for (std::size_t level = 0; level + 1 < channels.size(); ++level)
    decoder.emplace_back(channels[level + 1], channels[level], options.strides[level], options);
}

Dims3 UNet3d::total_stride() const {
  Dims3 total = 1;
  for (const Dims3& stride : options.strides)
    for (std::size_t i = 0; i < 3; ++i) total[i] = checked_mul("UNet3d", "stride", total[i], stride[i]);
  return total;
}

Tensor UNet3d::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  check(input.defined() && input.dim() == 5 && input.size(1) == options.in_channels, "UNet3d",
        "input has shape ", input.defined() ? input.shape() : Shape{}, "; (N, ", options.in_channels,
        ", D, H, W) is required");
  const Dims3 total = total_stride();
  Dims3 missing = 0;
  bool divides = true;
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t size = input.shape()[2 + i];
    missing[i] = (total[i] - size % total[i]) % total[i];
    divides &= missing[i] == 0;
    check(size > 0, "UNet3d", "input has shape ", input.shape(), "; no size may be 0");
    check(missing[i] == 0 || options.odd_sizes == OddSizes::pad, "UNet3d", "size ", size, " on axis ", 2 + i,
          " is not a multiple of ", total[i], "; ", size - size % total[i], " or ", size + missing[i],
          " would work, or set odd_sizes = OddSizes::pad");
  }
  Tensor x = divides ? input : pad(input, {0, missing[2], 0, missing[1], 0, missing[0]});

  Tensors skips;
  for (std::size_t level = 0; level < encoder.size(); ++level) {
    x = options.checkpoint ? autograd::checkpoint(encoder[level], x) : encoder[level](x);
    if (level + 1 == encoder.size()) break;
    skips.push_back(x);
    const Dims3& stride = options.strides[level];
    x = max_pool3d(x, {.kernel_size = stride, .stride = stride});
  }
  for (std::size_t level = decoder.size(); level-- > 0;) {
    const Tensor& skip = skips[level];
    x = options.checkpoint ? autograd::checkpoint(decoder[level], x, skip) : decoder[level](x, skip);
  }
  Tensor y = head(x);
  for (std::size_t i = 0; i < 3; ++i)
    if (missing[i]) y = y.narrow(2 + static_cast<std::int64_t>(i), 0, input.shape()[2 + i]);
  return y;
}

}  // namespace lucid::nn::models

#include "nn/conv.hpp"
#include "nn/conv_common.hpp"
#include "ops/options.hpp"

namespace lucid::nn {
namespace {

template <std::size_t N>
std::string layer_name() {
  return str("ConvTranspose", N, "d");
}

template <std::size_t N>
Tensor apply(const Tensor& input, const ConvTranspose<N>& layer, const Dims<N>& output_padding) {
  const ConvTransposeLayerOptions<N>& o = layer.options;
  const ConvTransposeOptions<N> options{o.stride, o.padding, output_padding, o.dilation, o.groups};
  if constexpr (N == 1) return conv_transpose1d(input, layer.weight, layer.bias, options);
  if constexpr (N == 2) return conv_transpose2d(input, layer.weight, layer.bias, options);
  if constexpr (N == 3) return conv_transpose3d(input, layer.weight, layer.bias, options);
}

}  // namespace

#define LUCID_LAYER_OPTIONS(N)                                                                        \
  LUCID_OPTIONS(ConvTransposeLayerOptions<N>, kernel_size, stride, padding, output_padding, dilation, \
                groups, bias, padding_mode)
LUCID_LAYER_OPTIONS(1)
LUCID_LAYER_OPTIONS(2)
LUCID_LAYER_OPTIONS(3)
#undef LUCID_LAYER_OPTIONS

template <std::size_t N>
ConvTranspose<N>::ConvTranspose(std::int64_t in_channels_, std::int64_t out_channels_,
                                const ConvTransposeLayerOptions<N>& options_)
    : in_channels(in_channels_), out_channels(out_channels_), options(options_) {
  const std::string layer = layer_name<N>();
  detail::check_common(layer, in_channels, out_channels, options);
  detail::check_at_least(layer, "padding", options.padding, 0);
  detail::check_at_least(layer, "output_padding", options.output_padding, 0);
  for (std::size_t i = 0; i < N; ++i) {
    const std::int64_t limit = std::max(options.stride[i], options.dilation[i]);
    check(options.output_padding[i] < limit, layer, "output_padding is ", options.output_padding[i],
          " on axis ", i, "; it must be smaller than the larger of stride and dilation there, ", limit);
  }
  check(options.padding_mode == "zeros", layer, "padding_mode is \"", options.padding_mode,
        "\"; a transposed convolution knows \"zeros\" only");
  detail::make_parameters(weight, bias, in_channels, out_channels / options.groups, options.kernel_size,
                          out_channels, options.bias);
}

template <std::size_t N>
Tensor ConvTranspose<N>::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return apply(input, *this, options.output_padding);
}

template <std::size_t N>
Tensor ConvTranspose<N>::operator()(const Tensor& input, const Shape& output_size) const {
  const ErrorScope scope(path());
  check(input.defined(), layer_name<N>(), "the input is undefined");
  return apply(input, *this, output_padding_for(input.shape(), output_size));
}

template <std::size_t N>
Dims<N> ConvTranspose<N>::output_padding_for(const Shape& input, const Shape& output_size) const {
  const std::string layer = layer_name<N>();
  check(input.size() == N + 1 || input.size() == N + 2, layer, "input has shape ", input, "; rank ", N + 2,
        ", or ", N + 1, " without a batch axis, is required");
  const std::size_t before = input.size() - N;  // axes ahead of the spatial ones
  const bool whole = output_size.size() == input.size();
  check(whole || output_size.size() == N, layer, "output_size is ", output_size, "; ", N, " or ",
        input.size(), " values are required");
  const std::size_t skip = whole ? before : 0;
  if (whole) {
    Shape wanted = output_size;
    wanted[before - 1] = out_channels;
    if (before == 2) wanted[0] = input[0];
    check(wanted == output_size, layer, "output_size is ", output_size,
          "; the batch and channels of the result ", "make it ", wanted, " (or give the ", N,
          " spatial sizes alone)");
  }

  Dims<N> least, most, out;
  Shape spatial;
  bool reachable = true;
  for (std::size_t i = 0; i < N; ++i) {
    const std::int64_t size = input[before + i];
    spatial.push_back(size);
    const std::int64_t spread = checked_mul(layer, "stride", options.stride[i], size - 1);
    const std::int64_t kernel =
        checked_mul(layer, "dilation", options.dilation[i], options.kernel_size[i] - 1);
    const std::int64_t cut = checked_mul(layer, "padding", options.padding[i], 2);
    least[i] = checked_add(layer, "size", checked_add(layer, "size", spread, kernel), 1 - cut);
    most[i] = checked_add(layer, "size", least[i], std::max(options.stride[i], options.dilation[i]) - 1);
    out[i] = output_size[skip + i] - least[i];
    reachable = reachable && output_size[skip + i] >= least[i] && output_size[skip + i] <= most[i];
  }
  check(reachable, layer, "output_size is ", output_size, "; an input of spatial size ", spatial,
        " can give sizes from ", least, " to ", most);
  return out;
}

template <std::size_t N>
ConvTransposeLayerOptions<N> ConvTranspose<N>::read_options(const nlohmann::json& in) {
  return ops::read_options<ConvTransposeLayerOptions<N>>(layer_name<N>(), in);
}

template <std::size_t N>
std::string ConvTranspose<N>::type_name() const {
  return layer_name<N>();
}

template <std::size_t N>
std::string ConvTranspose<N>::extra_repr() const {
  std::string out = detail::repr_head(in_channels, out_channels, options);
  if (options.padding != Dims<N>(0)) out += lucid::str(", padding=", detail::tuple(options.padding));
  if (options.output_padding != Dims<N>(0))
    out += lucid::str(", output_padding=", detail::tuple(options.output_padding));
  return out + detail::repr_tail(options);
}

template struct ConvTranspose<1>;
template struct ConvTranspose<2>;
template struct ConvTranspose<3>;

}  // namespace lucid::nn

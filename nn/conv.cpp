#include "nn/conv.hpp"

#include "nn/conv_common.hpp"
#include "ops/conv_joined.hpp"
#include "ops/join.hpp"
#include "ops/json_options.hpp"
#include "ops/pad.hpp"

namespace lucid::nn {
namespace {

template <std::size_t N>
std::string layer_name() {
  return str("Conv", N, "d");
}

// Elements added before and after each axis.
template <std::size_t N>
std::pair<Dims<N>, Dims<N>> pads_of(const ConvLayerOptions<N>& options) {
  if (options.padding.mode() != Padding<N>::Mode::same)
    return {options.padding.amounts(), options.padding.amounts()};
  Dims<N> before, after;
  for (std::size_t i = 0; i < N; ++i) {
    const std::int64_t total = options.dilation[i] * (options.kernel_size[i] - 1);
    before[i] = total / 2;
    after[i] = total - before[i];
  }
  return {before, after};
}

// `input` grown by the layer's padding, filled as padding_mode says.
template <std::size_t N>
Tensor padded(const Tensor& input, const ConvLayerOptions<N>& options) {
  const auto [before, after] = pads_of(options);
  std::vector<std::int64_t> amounts;  // from the last axis to the first
  for (std::size_t i = N; i-- > 0;) {
    amounts.push_back(before[i]);
    amounts.push_back(after[i]);
  }
  const PadMode mode = options.padding_mode == "reflect"     ? PadMode::reflect
                       : options.padding_mode == "replicate" ? PadMode::replicate
                                                             : PadMode::circular;
  return pad(input, amounts, mode);
}

template <std::size_t N>
std::string padding_repr(const Padding<N>& padding) {
  if (padding.mode() == Padding<N>::Mode::same) return ", padding=same";
  if (padding.mode() == Padding<N>::Mode::valid) return ", padding=valid";
  if (padding.amounts() == Dims<N>(0)) return "";
  return str(", padding=", detail::tuple(padding.amounts()));
}

}  // namespace

// Without padding, which is read apart: it may be numbers or a name.
#define LUCID_LAYER_OPTIONS(N) \
  LUCID_OPTIONS(ConvLayerOptions<N>, kernel_size, stride, dilation, groups, bias, padding_mode)
LUCID_LAYER_OPTIONS(1)
LUCID_LAYER_OPTIONS(2)
LUCID_LAYER_OPTIONS(3)
#undef LUCID_LAYER_OPTIONS

template <std::size_t N>
Conv<N>::Conv(std::int64_t in_channels_, std::int64_t out_channels_, const ConvLayerOptions<N>& options_)
    : in_channels(in_channels_), out_channels(out_channels_), options(options_) {
  const std::string layer = layer_name<N>();
  detail::check_common(layer, in_channels, out_channels, options);
  detail::check_at_least(layer, "padding", options.padding.amounts(), 0);
  if (options.padding.mode() == Padding<N>::Mode::same)
    check(options.stride == Dims<N>(1), layer, "stride is ", options.stride,
          " with padding \"same\", which is defined for stride 1 only");
  const std::string& mode = options.padding_mode;
  check(mode == "zeros" || mode == "reflect" || mode == "replicate" || mode == "circular", layer,
        "padding_mode is \"", mode, "\"; zeros, reflect, replicate or circular is required");
  detail::make_parameters(weight, bias, out_channels, in_channels / options.groups, options.kernel_size,
                          out_channels, options.bias);
}

template <std::size_t N>
Tensor Conv<N>::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  const bool grown = options.padding_mode != "zeros";
  const Tensor x = grown ? padded(input, options) : input;
  const ConvOptions<N> o{options.stride, grown ? Padding<N>(0) : options.padding, options.dilation,
                         options.groups};
  if constexpr (N == 1) return conv1d(x, weight, bias, o);
  if constexpr (N == 2) return conv2d(x, weight, bias, o);
  if constexpr (N == 3) return conv3d(x, weight, bias, o);
}

template <std::size_t N>
Tensor Conv<N>::operator()(const Tensors& inputs) const requires(N == 3) {
  const ErrorScope scope(path());
  if (options.padding_mode != "zeros") return (*this)(cat(inputs, -4));
  const ConvOptions<N> o{options.stride, options.padding, options.dilation, options.groups};
  if constexpr (N == 3) return conv3d_joined(inputs, weight, bias, o);
  return {};  // never: Clang 14 compiles this for the other N too
}

template <std::size_t N>
ConvLayerOptions<N> Conv<N>::read_options(const nlohmann::json& in) {
  nlohmann::json rest = in;
  Padding<N> padding = 0;
  if (in.is_object() && in.contains("padding")) {
    const nlohmann::json& given = in["padding"];
    const std::string layer = layer_name<N>();
    const ErrorScope scope(layer);
    if (given.is_string())
      padding = Padding<N>(std::string_view(given.get_ref<const std::string&>()));
    else
      padding = Padding<N>(given.get<Dims<N>>());
    rest.erase("padding");
  }
  auto out = ops::read_options<ConvLayerOptions<N>>(layer_name<N>(), rest);
  out.padding = padding;
  return out;
}

template <std::size_t N>
std::string Conv<N>::type_name() const {
  return layer_name<N>();
}

template <std::size_t N>
std::string Conv<N>::extra_repr() const {
  return detail::repr_head(in_channels, out_channels, options) + padding_repr(options.padding) +
         detail::repr_tail(options);
}

template struct Conv<1>;
template struct Conv<2>;
template struct Conv<3>;

}  // namespace lucid::nn

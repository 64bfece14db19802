#pragma once
// What both kinds of convolution layers share.

#include <cmath>
#include <string>

#include "nn/init.hpp"
#include "nn/layer_checks.hpp"
#include "nn/module.hpp"

namespace lucid::nn::detail {

/// Channels, kernel, stride, dilation and groups; `options` is either kind of layer options.
template <class Options>
void check_common(std::string_view layer, std::int64_t in_channels, std::int64_t out_channels,
                  const Options& options) {
  check(in_channels >= 1, layer, "in_channels is ", in_channels, "; at least 1 is required");
  check(out_channels >= 1, layer, "out_channels is ", out_channels, "; at least 1 is required");
  check_at_least(layer, "kernel_size", options.kernel_size, 1);
  check_at_least(layer, "stride", options.stride, 1);
  check_at_least(layer, "dilation", options.dilation, 1);
  check(options.groups >= 1, layer, "groups is ", options.groups, "; at least 1 is required");
  check(in_channels % options.groups == 0, layer, "in_channels is ", in_channels,
        ", which groups = ", options.groups, " does not divide");
  check(out_channels % options.groups == 0, layer, "out_channels is ", out_channels,
        ", which groups = ", options.groups, " does not divide");
}

/// Makes `weight` of shape (first, second, kernel...) and `bias` of shape (out_channels) if wanted, with
/// PyTorch's initial values.
template <std::size_t N>
void make_parameters(Parameter& weight, Parameter& bias, std::int64_t first, std::int64_t second,
                     const Dims<N>& kernel, std::int64_t out_channels, bool with_bias) {
  Shape shape{first, second};
  for (std::int64_t size : kernel) shape.push_back(size);
  weight = Parameter(empty(shape));
  init::kaiming_uniform_(weight, {.a = std::sqrt(5.0)});
  if (!with_bias) return;
  bias = Parameter(empty({out_channels}));
  const double bound = 1 / std::sqrt(static_cast<double>(init::calculate_fan_in_and_fan_out(weight).fan_in));
  init::uniform_(bias, -bound, bound);
}

/// "1, 8, kernel_size=(3, 3, 3), stride=(1, 1, 1)"
template <class Options>
std::string repr_head(std::int64_t in_channels, std::int64_t out_channels, const Options& options) {
  return str(in_channels, ", ", out_channels, ", kernel_size=", tuple(options.kernel_size),
             ", stride=", tuple(options.stride));
}

template <class Options>
std::string repr_tail(const Options& options) {
  std::string out;
  if (options.dilation != decltype(options.dilation)(1)) out += str(", dilation=", tuple(options.dilation));
  if (options.groups != 1) out += str(", groups=", options.groups);
  if (!options.bias) out += ", bias=False";
  if (options.padding_mode != "zeros") out += str(", padding_mode=", options.padding_mode);
  return out;
}

}  // namespace lucid::nn::detail

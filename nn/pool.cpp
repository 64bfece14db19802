#include "nn/pool.hpp"

#include "nn/layer_checks.hpp"

namespace lucid::nn {
namespace {

// Kernel, stride and padding; `options` is of either kind.
template <class Options>
void check_windows(std::string_view layer, const Options& options) {
  detail::check_at_least(layer, "kernel_size", options.kernel_size, 1);
  if (options.stride) detail::check_at_least(layer, "stride", *options.stride, 1);
  detail::check_at_least(layer, "padding", options.padding, 0);
  for (std::size_t i = 0; i < options.padding.size(); ++i)
    check(options.padding[i] <= options.kernel_size[i] / 2, layer, "padding is ", options.padding,
          "; at most half of kernel_size ", options.kernel_size, " is possible");
}

template <class Options>
std::string repr(const Options& options) {
  return lucid::str("kernel_size=", detail::tuple(options.kernel_size),
                    ", stride=", detail::tuple(options.stride.value_or(options.kernel_size)),
                    ", padding=", detail::tuple(options.padding));
}

}  // namespace

template <std::size_t N>
MaxPool<N>::MaxPool(const MaxPoolOptions<N>& options_) : options(options_) {
  check_windows(type_name(), options);
  detail::check_at_least(type_name(), "dilation", options.dilation, 1);
  check(!options.return_indices, type_name(), "return_indices is true; call max_pool", N,
        "d_with_indices for the indices");
}

template <std::size_t N>
Tensor MaxPool<N>::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  if constexpr (N == 1) return max_pool1d(input, options);
  if constexpr (N == 2) return max_pool2d(input, options);
  if constexpr (N == 3) return max_pool3d(input, options);
}

template <std::size_t N>
std::string MaxPool<N>::type_name() const {
  return lucid::str("MaxPool", N, "d");
}

template <std::size_t N>
std::string MaxPool<N>::extra_repr() const {
  return lucid::str(repr(options), ", dilation=", detail::tuple(options.dilation),
                    ", ceil_mode=", options.ceil_mode ? "True" : "False");
}

template <std::size_t N>
AvgPool<N>::AvgPool(const AvgPoolOptions<N>& options_) : options(options_) {
  check_windows(type_name(), options);
  check(options.divisor_override != 0, type_name(), "divisor_override is 0");
}

template <std::size_t N>
Tensor AvgPool<N>::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  if constexpr (N == 1) return avg_pool1d(input, options);
  if constexpr (N == 2) return avg_pool2d(input, options);
  if constexpr (N == 3) return avg_pool3d(input, options);
}

template <std::size_t N>
std::string AvgPool<N>::type_name() const {
  return lucid::str("AvgPool", N, "d");
}

template <std::size_t N>
std::string AvgPool<N>::extra_repr() const {
  return repr(options);
}

template <std::size_t N>
AdaptiveAvgPool<N>::AdaptiveAvgPool(const OutputSize<N>& output_size_) : output_size(output_size_) {
  for (const auto& size : output_size)
    check(!size || *size >= 0, type_name(), "output_size is ", size.value_or(0),
          " on an axis; it must not be negative");
}

template <std::size_t N>
Tensor AdaptiveAvgPool<N>::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  if constexpr (N == 1) return adaptive_avg_pool1d(input, output_size);
  if constexpr (N == 2) return adaptive_avg_pool2d(input, output_size);
  if constexpr (N == 3) return adaptive_avg_pool3d(input, output_size);
}

template <std::size_t N>
std::string AdaptiveAvgPool<N>::type_name() const {
  return lucid::str("AdaptiveAvgPool", N, "d");
}

template <std::size_t N>
std::string AdaptiveAvgPool<N>::extra_repr() const {
  std::string sizes;
  for (const auto& size : output_size)
    sizes += lucid::str(sizes.empty() ? "" : ", ", size ? lucid::str(*size) : std::string("None"));
  return lucid::str("output_size=(", sizes, ")");
}

template struct MaxPool<1>;
template struct MaxPool<2>;
template struct MaxPool<3>;
template struct AvgPool<1>;
template struct AvgPool<2>;
template struct AvgPool<3>;
template struct AdaptiveAvgPool<1>;
template struct AdaptiveAvgPool<2>;
template struct AdaptiveAvgPool<3>;

}  // namespace lucid::nn

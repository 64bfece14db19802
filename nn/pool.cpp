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

// `text` writes the numbers of the axes.
template <class Options, class Text>
std::string repr(const Options& options, Text&& text) {
  return lucid::str("kernel_size=", text(options.kernel_size),
                    ", stride=", text(options.stride.value_or(options.kernel_size)),
                    ", padding=", text(options.padding));
}

}  // namespace

template <std::size_t N>
MaxPool<N>::MaxPool(const MaxPoolOptions<N>& options_) : options(options_) {
  check_windows(type_name(), options);
  detail::check_at_least(type_name(), "dilation", options.dilation, 1);
  check(!options.return_indices, type_name(),
        "return_indices is true; a call gives the maxima alone, with_indices() gives both");
}

template <std::size_t N>
Tensor MaxPool<N>::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  if constexpr (N == 1) return max_pool1d(input, options);
  if constexpr (N == 2) return max_pool2d(input, options);
  if constexpr (N == 3) return max_pool3d(input, options);
}

template <std::size_t N>
std::pair<Tensor, Tensor> MaxPool<N>::with_indices(const Tensor& input) const {
  const ErrorScope scope(path());
  if constexpr (N == 1) return max_pool1d_with_indices(input, options);
  if constexpr (N == 2) return max_pool2d_with_indices(input, options);
  if constexpr (N == 3) return max_pool3d_with_indices(input, options);
}

template <std::size_t N>
std::string MaxPool<N>::type_name() const {
  return lucid::str("MaxPool", N, "d");
}

template <std::size_t N>
std::string MaxPool<N>::extra_repr() const {
  return lucid::str(repr(options, detail::one_or_tuple<N>),
                    ", dilation=", detail::one_or_tuple(options.dilation),
                    ", ceil_mode=", detail::python(options.ceil_mode));
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
  return N == 1 ? repr(options, detail::tuple<Dims<N>>) : repr(options, detail::one_or_tuple<N>);
}

template <std::size_t N>
MaxUnpool<N>::MaxUnpool(const MaxUnpoolOptions<N>& options_) : options(options_) {
  check_windows(type_name(), options);
}

template <std::size_t N>
Tensor MaxUnpool<N>::operator()(const Tensor& input, const Tensor& indices) const {
  const ErrorScope scope(path());
  if constexpr (N == 1) return max_unpool1d(input, indices, options);
  if constexpr (N == 2) return max_unpool2d(input, indices, options);
  if constexpr (N == 3) return max_unpool3d(input, indices, options);
}

template <std::size_t N>
Tensor MaxUnpool<N>::operator()(const Tensor& input, const Tensor& indices, const Shape& output_size) const {
  MaxUnpool sized = *this;
  sized.options.output_size = output_size;
  return sized(input, indices);
}

template <std::size_t N>
std::string MaxUnpool<N>::type_name() const {
  return lucid::str("MaxUnpool", N, "d");
}

template <std::size_t N>
std::string MaxUnpool<N>::extra_repr() const {
  return repr(options, detail::tuple<Dims<N>>);
}

template struct MaxPool<1>;
template struct MaxPool<2>;
template struct MaxPool<3>;
template struct AvgPool<1>;
template struct AvgPool<2>;
template struct AvgPool<3>;
template struct MaxUnpool<1>;
template struct MaxUnpool<2>;
template struct MaxUnpool<3>;

}  // namespace lucid::nn

#include "nn/adaptive_pool.hpp"

#include "nn/layer_checks.hpp"
#include "ops/reduce.hpp"

namespace lucid::nn {
namespace {

template <std::size_t N>
void check_size(std::string_view layer, const OutputSize<N>& output_size) {
  for (const auto& size : output_size)
    check(!size || *size >= 0, layer, "output_size is ", size.value_or(0),
          " on an axis; it must not be negative");
}

// "1" where the axes agree, else "(None, 2, 2)".
template <std::size_t N>
std::string repr(const OutputSize<N>& output_size) {
  const auto text = [](const std::optional<std::int64_t>& size) {
    return size ? str(*size) : std::string("None");
  };
  OutputSize<N> equal;
  equal.fill(output_size[0]);
  if (output_size == equal) return str("output_size=", text(output_size[0]));
  std::string sizes;
  for (const auto& size : output_size) sizes += str(sizes.empty() ? "" : ", ", text(size));
  return str("output_size=(", sizes, ")");
}

// The axes after batch and channels.
DimList spatial_axes(std::string_view layer, const Tensor& input) {
  check(input.defined(), layer, "the input is undefined");
  check(input.dim() >= 3, layer, "input has shape ", input.shape(),
        "; (N, C, spatial...) with a spatial axis is required");
  DimList axes;
  for (std::int64_t axis = 2; axis < input.dim(); ++axis) axes.push_back(axis);
  return axes;
}

}  // namespace

template <std::size_t N>
AdaptiveAvgPool<N>::AdaptiveAvgPool(const OutputSize<N>& output_size_) : output_size(output_size_) {
  check_size(type_name(), output_size);
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
  return repr(output_size);
}

template <std::size_t N>
AdaptiveMaxPool<N>::AdaptiveMaxPool(const OutputSize<N>& output_size_) : output_size(output_size_) {
  check_size(type_name(), output_size);
}

template <std::size_t N>
Tensor AdaptiveMaxPool<N>::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  if constexpr (N == 1) return adaptive_max_pool1d(input, output_size);
  if constexpr (N == 2) return adaptive_max_pool2d(input, output_size);
  if constexpr (N == 3) return adaptive_max_pool3d(input, output_size);
}

template <std::size_t N>
std::pair<Tensor, Tensor> AdaptiveMaxPool<N>::with_indices(const Tensor& input) const {
  const ErrorScope scope(path());
  if constexpr (N == 1) return adaptive_max_pool1d_with_indices(input, output_size);
  if constexpr (N == 2) return adaptive_max_pool2d_with_indices(input, output_size);
  if constexpr (N == 3) return adaptive_max_pool3d_with_indices(input, output_size);
}

template <std::size_t N>
std::string AdaptiveMaxPool<N>::type_name() const {
  return lucid::str("AdaptiveMaxPool", N, "d");
}

template <std::size_t N>
std::string AdaptiveMaxPool<N>::extra_repr() const {
  return repr(output_size);
}

Tensor GlobalAvgPool::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return mean(input, spatial_axes("GlobalAvgPool", input), options.keepdim);
}
std::string GlobalAvgPool::extra_repr() const {
  return lucid::str("keepdim=", detail::python(options.keepdim));
}

Tensor GlobalMaxPool::operator()(const Tensor& input) const {
  const ErrorScope scope(path());
  return amax(input, spatial_axes("GlobalMaxPool", input), options.keepdim);
}
std::string GlobalMaxPool::extra_repr() const {
  return lucid::str("keepdim=", detail::python(options.keepdim));
}

template struct AdaptiveAvgPool<1>;
template struct AdaptiveAvgPool<2>;
template struct AdaptiveAvgPool<3>;
template struct AdaptiveMaxPool<1>;
template struct AdaptiveMaxPool<2>;
template struct AdaptiveMaxPool<3>;

}  // namespace lucid::nn

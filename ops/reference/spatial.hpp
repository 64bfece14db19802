#pragma once
// What the definitions over spatial axes share: (N, C, spatial...) or, without a batch, (C, spatial...).

#include <nlohmann/json.hpp>

#include "ops/reference/array.hpp"

namespace lucid::reference {

/// An option that holds one value for each of `axes` axes, or one for all of them.
template <class T = std::int64_t>
std::vector<T> for_each_axis(const nlohmann::json& option, std::size_t axes) {
  if (!option.is_array()) return std::vector<T>(axes, option.get<T>());
  auto values = option.get<std::vector<T>>();
  if (values.size() == 1) values.resize(axes, values[0]);
  return values;
}

/// The last `axes` sizes of `shape`, and those before them.
inline Shape spatial_sizes(const Shape& shape, std::size_t axes) {
  return {std::span(shape.end() - axes, axes)};
}
inline Shape leading_sizes(const Shape& shape, std::size_t axes) {
  return {std::span(shape.begin(), shape.size() - axes)};
}

/// `sizes` behind `leading`.
inline Shape joined(Shape leading, std::span<const std::int64_t> sizes) {
  for (const std::int64_t size : sizes) leading.push_back(size);
  return leading;
}

/// Row-major position of the last `axes` places of `index` in an array of `shape`, counted among these axes.
inline std::int64_t spatial_position(const Shape& shape, const Index& index, std::size_t axes) {
  std::int64_t at = 0;
  for (std::size_t i = shape.size() - axes; i < shape.size(); ++i) at = at * shape[i] + index[i];
  return at;
}

/// Distance of every element that is not 0 to the nearest 0 of its sample and channel, by trying them all;
/// infinity when there is none. mask (N, C, spatial...), spacing of each spatial axis.
Array distances_to_zero(const Array& mask, const std::vector<double>& spacing);
/// The option `sampling` for the spatial axes of input (N, C, spatial...): one for each, one for all, or
/// none.
std::vector<double> spacing_of(const Array& input, const nlohmann::json& sampling);

}  // namespace lucid::reference
